"""Reads the ZeRO-3 JSON, checked and completed before any model is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vlm_uec.config import OptimConfig
from vlm_uec.errors import UserError
from vlm_uec.io.bounded_json import read_json

# Sections that would silently contradict the run's config.
_FORBIDDEN_KEYS = {
    "optimizer": "it is AdamW, with optim.lr and optim.weight_decay",
    "scheduler": "optim.warmup_steps and optim.decay set the learning rate",
    "fp16": "model.precision is fp32 or bf16",
    "amp": "model.precision is fp32 or bf16",
    "train_batch_size": "optim.minibatch and optim.microbatch_tokens determine it",
}


def partition_layout(settings: dict[str, Any]) -> str:
    """The settings on which ZeRO's partition of the optimizer state depends; checkpoints must match them."""
    return f"zero_optimization.sub_group_size={int(settings['zero_optimization'].get('sub_group_size', 1e9))}"


def read_deepspeed_config(path: str, precision: str, optim: OptimConfig) -> dict[str, Any]:
    """The JSON, completed with the settings from the run's config.

    Raises `UserError` if the file is unreadable, not stage 3, sets one of those settings, or has a key or
    value that DeepSpeed rejects.
    """
    try:
        config = read_json(Path(path))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"deepspeed.config {path}: cannot be read ({error}); see configs/ for examples"
        ) from error
    zero = config.get("zero_optimization") if isinstance(config, dict) else None
    if not isinstance(zero, dict) or zero.get("stage") != 3:
        raise UserError(f"deepspeed.config {path}: zero_optimization.stage must be 3; see configs/zero3.json")
    derived = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        # The token budget determines the number of micro-batches of a mini-batch.
        "managed_gradient_accumulation": False,
        "gradient_clipping": optim.max_grad_norm,
        "bf16": {"enabled": precision == "bf16"},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    }
    _check_keys(path, config, derived)
    _check_zero(path, zero)
    return {**config, **derived, "steps_per_print": 10**9}


def offloads(zero: Mapping[str, Any], section: str) -> bool:
    """Whether zero_optimization offloads a section, `offload_optimizer` or `offload_param`."""
    settings = zero.get(section)
    return isinstance(settings, dict) and settings.get("device", "none") != "none"


def _check_keys(path: str, config: Mapping[str, Any], derived: Mapping[str, Any]) -> None:
    if clash := sorted(set(derived) & set(config)):
        raise UserError(f"deepspeed.config {path}: {clash[0]} is derived from the run's config; remove it")
    if forbidden := sorted(set(_FORBIDDEN_KEYS) & set(config)):
        raise UserError(f"deepspeed.config {path}: remove {forbidden[0]}; {_FORBIDDEN_KEYS[forbidden[0]]}")
    if auto := next(_auto_keys(config), None):
        raise UserError(
            f'deepspeed.config {path}: {auto} is "auto", which only Hugging Face\'s Trainer fills in; give a '
            "value, or remove it"
        )


def _auto_keys(section: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in section.items():
        if value == "auto":
            yield prefix + key
        elif isinstance(value, dict):
            yield from _auto_keys(value, f"{prefix}{key}.")


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
