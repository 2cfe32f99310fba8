"""The settings of each value of the `algorithm` key, from the table of objectives."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

from vlm_uec.algorithm.objectives import OBJECTIVES, Objective
from vlm_uec.config.file import merge_sections
from vlm_uec.config.schema import Config, LossConfig

SWITCHES = {
    "exploration": ("enabled",),
    "retention": ("regular", "exploration"),
    "pending": ("enabled",),
    "overlong_filter": ("enabled",),
    "stabilizer": ("enabled",),
}
"""The switches of UEC-RL by section; on in `uec` and every NAME+uec."""


def preset(algorithm: object) -> dict[str, Any]:
    """Every key that differs between algorithms, with this algorithm's value: its objective's settings and
    UEC-RL's switches. An unknown algorithm gets the defaults and is reported by validation."""
    name, uec = ("grpo", True) if algorithm == "uec" else str(algorithm).partition("+")[::2]
    switches = {section: dict.fromkeys(keys, bool(uec)) for section, keys in SWITCHES.items()}
    defaults = reduce(merge_sections, (_defaults(objective_preset(other)) for other in OBJECTIVES.values()))
    objective = OBJECTIVES.get(name)
    own = objective_preset(objective) if objective else {}
    if not uec:
        return merge_sections(merge_sections(defaults, switches), own)
    with_switches = merge_sections(merge_sections(defaults, own), switches)
    return merge_sections(with_switches, objective.uec_preset if objective else {})


def objective_preset(objective: Objective) -> dict[str, Any]:
    """The objective's own settings by section, including `loss.name` if it is not the default."""
    if objective.loss.name == LossConfig.model_fields["name"].default:
        return dict(objective.preset)
    return {**objective.preset, "loss": {"name": objective.loss.name, **objective.preset.get("loss", {})}}


def _defaults(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The same keys with their default values."""
    return {
        section: {key: Config.model_fields[section].default.model_dump()[key] for key in keys}
        for section, keys in tree.items()
    }
