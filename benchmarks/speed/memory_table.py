"""What a GPU must hold, by model, by what is trained and by the number of GPUs: the table of docs/memory.md.

    python benchmarks/speed/memory_table.py

Estimated by counting bytes (vlm_uec/forecast), nothing is measured: the settings of the 7B recipe, prompts of
1,000 tokens. Left out: what libraries take, and keys and values, which take what is left.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, the repository's root is not on the path

from vlm_uec.config import load_config
from vlm_uec.forecast.memory import rank_memory
from vlm_uec.forecast.shape import ModelShape, model_shape
from vlm_uec.forecast.tokens import PromptLengths, step_tokens
from vlm_uec.zero.config import read_deepspeed_config

RECIPE = "configs/geometry3k_qwen2.5_vl_7b_uec.yaml"
SIZES = ("3B", "7B", "32B")
WAYS: dict[str, tuple[str, ...]] = {
    "all weights": (),
    "all weights, tower frozen": ("model.freeze_vision=true",),
    "all weights, optimizer offloaded": ("deepspeed.config=configs/zero3_offload.json",),
    "LoRA, rank 64": ("lora.rank=64",),
}
GPUS = (1, 2, 4, 8)
LENGTHS = PromptLengths(1000, 2048)


def model_of(size: str) -> str:
    return f"Qwen/Qwen2.5-VL-{size}-Instruct"


@cache  # weights are counted in a model without memory, a quarter of a second each time
def shape_of(size: str) -> ModelShape:
    shape = model_shape(model_of(size))
    if shape is None:
        raise RuntimeError(f"{size} is no published model")
    return shape


def peak(size: str, settings: tuple[str, ...], gpus: int) -> tuple[float, float]:
    """GiB of a GPU at the fullest moment, and of host memory a GPU."""
    config = load_config(RECIPE, [f"model.path={model_of(size)}", *settings])
    zero = read_deepspeed_config(config.deepspeed.config, config.model.precision, config.optim)
    memory = rank_memory(
        config, zero["zero_optimization"], shape_of(size), LENGTHS, step_tokens(config, LENGTHS, gpus), gpus
    )
    return memory.peak / 2**30, memory.host / 2**30


def main() -> None:
    print(
        "| model | what is trained | " + " | ".join(f"{gpus} GPU" + "s" * (gpus > 1) for gpus in GPUS) + " |"
    )
    print("|---" * (2 + len(GPUS)) + "|")
    for size in SIZES:
        for way, settings in WAYS.items():
            cells = [peak(size, settings, gpus) for gpus in GPUS]
            told = [f"{gpu:.0f}" + (f" + {host:.0f} host" if host else "") for gpu, host in cells]
            print(f"| {size} | {way} | " + " | ".join(told) + " |")


if __name__ == "__main__":
    main()
