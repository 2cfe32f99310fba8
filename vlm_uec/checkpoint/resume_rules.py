"""Which settings a run may change when it goes on from a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vlm_uec.config import Config
from vlm_uec.config.fields import section_of
from vlm_uec.config.file import flat, read_config_file
from vlm_uec.errors import UserError
from vlm_uec.escape import escape

CONFIG = "config.yaml"
_STATE = "the saved weights and optimizer states are laid out for it"
_ORDER = "the order of the problems follows from it"
_PROMPTS = "waiting responses were sampled for prompts made with it"
_REWARD = "waiting responses were judged with it"
# What a checkpoint's state depends on, and how.
FIXED = {
    "algorithm": "a run is of one algorithm",
    "model.precision": _STATE,
    "model.freeze_vision": _STATE,
    "model.freeze_projector": _STATE,
    "lora.rank": _STATE,
    "lora.targets": _STATE,
    "lora.vision": _STATE,
    "data.mixture": _ORDER,
    "rollout.prompts": _ORDER,
    "train.seed": _ORDER,
    "data.min_pixels": _PROMPTS,
    "data.max_pixels": _PROMPTS,
    "prompt.template": _PROMPTS,
    "reward.function": _REWARD,
    "reward.format_weight": _REWARD,
    "reward.overlong_buffer": _REWARD,
    "advantage.scaled": _REWARD,
}
# Names and places; the model and the data themselves have fingerprints.
_FREE = {"resume", "model.path", "data.path", "train.run_dir"}
_UNSET = object()


def check_resume(checkpoint: Path, config: Config) -> list[str]:
    """What differs from the checkpoint's settings and may: "optim.lr 1e-06 -> 5e-07".

    Raises `UserError` where something else differs.
    """
    before, now = dict(flat(read_config_file(checkpoint / CONFIG))), dict(flat(config.model_dump()))
    changed = []
    for key in sorted(before.keys() | now.keys()):
        was, now_is = before.get(key, _UNSET), now.get(key, _UNSET)
        if was == now_is or key in _FREE:
            continue
        # A run from before the setting was there did what is its default now.
        if key in FIXED and not (was is _UNSET and now_is == _default(key)):
            raise UserError(
                f"{checkpoint}: was written with {key}={_told(was)} and this run has {_told(now_is)}: "
                f"{FIXED[key]}; set it back, or start a run from the exported model"
            )
        changed.append(f"{key} {_told(was)} -> {_told(now_is)}")
    return changed


def _default(key: str) -> Any:
    section, _, name = key.partition(".")
    model = section_of(Config.model_fields[section])
    return model.model_fields[name].default if model else _UNSET


def _told(value: Any) -> str:
    return "nothing" if value is _UNSET else escape(json.dumps(value, ensure_ascii=False), 60)
