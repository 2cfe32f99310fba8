"""This project's config for the settings in a worker's SPEC.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from benchmarks.lib.launching import TINY_CONFIG
from vlm_uec.config import Config, load_config
from vlm_uec.ranks.collectives import world_size


def config_of(spec: Mapping[str, Any]) -> Config:
    settings = {
        "model.path": spec["model"],
        "model.precision": spec["precision"],
        "model.freeze_vision": False,
        "model.activation_checkpointing": spec["checkpointing"],
        "algorithm": "uec" if spec["difficult_share"] else "grpo",
        # All responses of forced length end at the limit.
        "overlong_filter.enabled": False,
        "data.min_pixels": spec["min_pixels"],
        "data.max_pixels": spec["max_pixels"],
        "data.max_prompt_tokens": 4096,
        "prompt.template": '"{{ question }}"',
        "rollout.prompts": spec["prompts"],
        "rollout.n": spec["n"],
        "rollout.temperature": spec["temperature"],
        "rollout.top_p": spec["top_p"],
        "rollout.max_tokens": spec["max_tokens"],
        "rollout.slots": _slots(spec),
        "optim.minibatch": spec["prompts"],
        "optim.microbatch_tokens": spec["budget"],
        "optim.lr": spec["lr"],
        "loss.kl_coef": spec["kl_coef"],
        "train.steps": spec["steps"],
        "deepspeed.config": "configs/zero3.json" if torch.cuda.is_available() else "configs/zero3_cpu.json",
        **spec.get("overrides", {}),
    }
    return load_config(TINY_CONFIG, [f"{key}={value}" for key, value in settings.items()])


def _slots(spec: Mapping[str, Any]) -> int | str:
    """On a CPU at most the responses of a rank, because matrix products there compute every slot."""
    if torch.cuda.is_available():
        return "null"
    return min(64, max(8, spec["prompts"] * spec["n"] // world_size()))
