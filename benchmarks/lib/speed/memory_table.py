"""The table of docs/memory.md: estimated memory per GPU, by model, trained parts and number of GPUs."""

from __future__ import annotations

from functools import cache

from vlm_uec.config import load_config
from vlm_uec.forecast.memory import rank_memory
from vlm_uec.forecast.shape import ModelShape, model_shape
from vlm_uec.forecast.tokens import PromptLengths, step_tokens
from vlm_uec.zero.config import read_deepspeed_config

RECIPE = "configs/geometry3k_qwen2.5_vl_7b_uec.yaml"
SIZES = ("3B", "7B", "32B")
TRAINED: dict[str, tuple[str, ...]] = {
    "all weights": (),
    "all weights, tower frozen": ("model.freeze_vision=true",),
    "all weights, optimizer offloaded": ("deepspeed.config=configs/zero3_offload.json",),
    "LoRA, rank 64": ("lora.rank=64",),
}
GPUS = (1, 2, 4, 8)
LENGTHS = PromptLengths(1000, 2048)


def memory_table() -> str:
    """Markdown."""
    gpu_columns = " | ".join(f"{gpus} GPU" + "s" * (gpus > 1) for gpus in GPUS)
    lines = [f"| model | what is trained | {gpu_columns} |", "|---" * (2 + len(GPUS)) + "|"]
    for size in SIZES:
        for trained, settings in TRAINED.items():
            peaks = [peak_gib(size, settings, gpus) for gpus in GPUS]
            cells = [f"{gpu:.0f}" + (f" + {host:.0f} host" if host else "") for gpu, host in peaks]
            lines.append(f"| {size} | {trained} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def peak_gib(size: str, settings: tuple[str, ...], gpus: int) -> tuple[float, float]:
    """Peak GiB per GPU, and GiB of host memory per GPU."""
    config = load_config(RECIPE, [f"model.path={_model_name(size)}", *settings])
    zero = read_deepspeed_config(config.deepspeed.config, config.model.precision, config.optim)
    memory = rank_memory(
        config, zero["zero_optimization"], _shape(size), LENGTHS, step_tokens(config, LENGTHS, gpus), gpus
    )
    return memory.peak / 2**30, memory.host / 2**30


def _model_name(size: str) -> str:
    return f"Qwen/Qwen2.5-VL-{size}-Instruct"


@cache  # counting the weights builds the model on the meta device, which takes a quarter of a second
def _shape(size: str) -> ModelShape:
    shape = model_shape(_model_name(size))
    if shape is None:
        raise RuntimeError(f"no published model has the size {size}")
    return shape
