"""The ZeRO-3 JSON, checked and completed before any model is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vlm_uec.config import OptimConfig
from vlm_uec.errors import UserError
from vlm_uec.io.bounded_json import read_json

# Sections that would silently contradict the run's config.
_NOT_HERE = {
    "optimizer": "it is AdamW, with optim.lr and optim.weight_decay",
    "scheduler": "optim.lr is constant",
    "fp16": "model.precision is fp32 or bf16",
    "amp": "model.precision is fp32 or bf16",
    "train_batch_size": "optim.minibatch and optim.microbatch_tokens decide it",
}


def layout(settings: dict[str, Any]) -> str:
    """The settings that decide how ZeRO partitions the optimizer state, and so which checkpoints fit."""
    return f"zero_optimization.sub_group_size={int(settings['zero_optimization'].get('sub_group_size', 1e9))}"


def read_deepspeed_config(path: str, precision: str, optim: OptimConfig) -> dict[str, Any]:
    """The JSON, completed with the settings that the run's own config decides.

    Raises `UserError` when the file is unreadable, not stage 3, sets one of those itself, or has a key or
    value that DeepSpeed rejects.
    """
    try:
        config = read_json(Path(path))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"deepspeed.config {path}: cannot be read ({error}); configs/ has some") from error
    zero = config.get("zero_optimization") if isinstance(config, dict) else None
    if not isinstance(zero, dict) or zero.get("stage") != 3:
        raise UserError(
            f"deepspeed.config {path}: zero_optimization.stage must be 3; configs/zero3.json is a start"
        )
    ours = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        # A mini-batch is however many micro-batches the token budget makes of it.
        "managed_gradient_accumulation": False,
        "gradient_clipping": optim.max_grad_norm,
        "bf16": {"enabled": precision == "bf16"},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    }
    _refuse(path, config, ours)
    _check_zero(path, zero)
    return {**config, **ours, "steps_per_print": 10**9}


def offloads(zero: Mapping[str, Any], section: str) -> bool:
    """Whether zero_optimization keeps `offload_optimizer` or `offload_param` off the device."""
    found = zero.get(section)
    return isinstance(found, dict) and found.get("device", "none") != "none"


def _refuse(path: str, config: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    if clash := sorted(set(ours) & set(config)):
        raise UserError(f"deepspeed.config {path}: {clash[0]} is set from the run's config; remove it there")
    if known := sorted(set(_NOT_HERE) & set(config)):
        raise UserError(f"deepspeed.config {path}: remove {known[0]}; {_NOT_HERE[known[0]]}")
    if auto := next(_automatic(config), None):
        raise UserError(
            f'deepspeed.config {path}: {auto} is "auto", which only Hugging Face\'s Trainer fills in; give a '
            "value, or leave it out"
        )


def _automatic(section: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in section.items():
        if value == "auto":
            yield prefix + key
        elif isinstance(value, dict):
            yield from _automatic(value, f"{prefix}{key}.")


def _check_zero(path: str, zero: Mapping[str, Any]) -> None:
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig  # takes seconds

    try:
        DeepSpeedZeroConfig(**zero)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(
            f"deepspeed.config {path}: zero_optimization.{key}: {first['msg']}; see DeepSpeed's ZeRO options"
        ) from error
