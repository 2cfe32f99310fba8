"""Which settings may change when a run resumes from a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vlm_uec.config import Config
from vlm_uec.config.fields import section_type
from vlm_uec.config.file import flatten, read_config_file
from vlm_uec.errors import UserError
from vlm_uec.escape import escape

CONFIG = "config.yaml"
_STATE = "the saved weights and optimizer states depend on it"
_ORDER = "the order of problems depends on it"
_PROMPTS = "pending responses were sampled for prompts made with it"
_REWARD = "pending responses were judged with it"
# Settings that the checkpoint's state depends on, with the reason.
FIXED = {
    "algorithm": "a run has one algorithm",
    "model.precision": _STATE,
    "model.freeze_vision": _STATE,
    "model.freeze_projector": _STATE,
    "lora.rank": _STATE,
    "lora.alpha": _STATE,
    "lora.targets": _STATE,
    "lora.vision": _STATE,
    "data.mixture": _ORDER,
    "rollout.prompts": _ORDER,
    "train.seed": _ORDER,
    "data.min_pixels": _PROMPTS,
    "data.max_pixels": _PROMPTS,
    "prompt.template": _PROMPTS,
    "reward.function": _REWARD,
    "reward.thinking": _REWARD,
    "reward.statements": _REWARD,
    "reward.format_weight": _REWARD,
    "reward.overlong_buffer": _REWARD,
    "reward.overlong_penalty": _REWARD,
    "advantage.scaled": _REWARD,
}
# Paths, and `resume` itself; the model and the data are checked by fingerprints.
_FREE = {"resume", "model.path", "data.path", "train.run_dir"}
_UNSET = object()


def check_resume(checkpoint: Path, config: Config) -> list[str]:
    """The allowed changes from the checkpoint's settings, such as "optim.lr 1e-06 -> 5e-07".

    Raises `UserError` for a change that is not allowed.
    """
    saved, current = dict(flatten(read_config_file(checkpoint / CONFIG))), dict(flatten(config.model_dump()))
    changed = []
    for key in sorted(saved.keys() | current.keys()):
        old, new = saved.get(key, _UNSET), current.get(key, _UNSET)
        if old == new or key in _FREE:
            continue
        # Runs from before a setting existed behaved like its default.
        if key in FIXED and not (old is _UNSET and new == _default(key)):
            raise UserError(
                f"{checkpoint}: was written with {key}={_show(old)} and this run has {_show(new)}: "
                f"{FIXED[key]}; restore it, or start a run from the exported model"
            )
        changed.append(f"{key} {_show(old)} -> {_show(new)}")
    return changed


def _default(key: str) -> Any:
    section, _, name = key.partition(".")
    model = section_type(Config.model_fields[section])
    return model.model_fields[name].default if model else _UNSET


def _show(value: Any) -> str:
    return "nothing" if value is _UNSET else escape(json.dumps(value, ensure_ascii=False), 60)
