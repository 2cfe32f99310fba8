"""Valid settings that rarely do what their user expects; printed at the start and by `--dry-run`."""

from __future__ import annotations

from vlm_uec.algorithm.objectives import token_loss
from vlm_uec.config.schema import Config
from vlm_uec.escape import escape
from vlm_uec.verifier.strictness import DEFAULT, Strictness


def cautions(config: Config) -> list[str]:
    """One line per setting to reconsider, with the keys that change it."""
    return [*_unbounded_replay(config), *_unused_strictness(config)]


def _unbounded_replay(config: Config) -> list[str]:
    note = token_loss(config.loss.name).replay_note
    if not config.stabilizer.enabled or not note:
        return []
    return [
        f"loss.name {config.loss.name} with stabilizer.enabled: {note}; compare with stabilizer.enabled=false"
    ]


def _unused_strictness(config: Config) -> list[str]:
    reward = config.reward
    if reward.function == "accuracy" or Strictness(reward.thinking, reward.statements) == DEFAULT:
        return []
    return [
        "reward.thinking and reward.statements have no effect on reward.function "
        f"{escape(reward.function)}; remove them, or use reward.function=accuracy"
    ]


def cpu_cautions(config: Config) -> list[str]:
    """The same for a run on a CPU; a forecast can be for another machine and does not print them."""
    if config.model.precision == "fp32":
        return []
    return [
        f"model.precision {config.model.precision} on a CPU: many CPUs multiply bf16 several times slower "
        "than fp32; set model.precision=fp32"
    ]
