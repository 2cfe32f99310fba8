"""What `algorithm` sets: the preset of its objective, and the switches of UEC-RL."""

from __future__ import annotations

from functools import reduce
from typing import Any

from vlm_uec.algorithm.objectives import OBJECTIVES
from vlm_uec.config.file import merge
from vlm_uec.config.schema import Config

# Where UEC-RL's own numbers do not fit an objective's advantages: R - mean stays below 1.
_UEC_BESIDE: dict[str, dict[str, Any]] = {"dr_grpo": {"stabilizer": {"min_advantage": 0.5}}}
SWITCHES = {
    "exploration": ("enabled",),
    "retention": ("regular", "exploration"),
    "pending": ("enabled",),
    "overlong_filter": ("enabled",),
    "stabilizer": ("enabled",),
}


def preset(algorithm: object) -> dict[str, Any]:
    """All keys that tell algorithms apart, as this one has them: its objective's, and UEC-RL's switches."""
    objective, uec = ("grpo", True) if algorithm == "uec" else str(algorithm).partition("+")[::2]
    switches = {section: dict.fromkeys(keys, bool(uec)) for section, keys in SWITCHES.items()}
    own = OBJECTIVES[objective].preset if objective in OBJECTIVES else {}
    plain = reduce(merge, (_defaults(entry.preset) for entry in OBJECTIVES.values()))
    if not uec:
        return merge(merge(plain, switches), own)
    return merge(merge(merge(plain, own), switches), _UEC_BESIDE.get(objective, {}))


def _defaults(tree: dict[str, Any]) -> dict[str, Any]:
    """The same keys with the values that they have where nobody sets them."""
    return {
        section: {key: Config.model_fields[section].default.model_dump()[key] for key in keys}
        for section, keys in tree.items()
    }
