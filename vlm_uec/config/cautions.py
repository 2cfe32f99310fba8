"""Valid settings that rarely do what their user expects; printed at the start and by `--dry-run`."""

from __future__ import annotations

from vlm_uec.algorithm.objectives import token_loss
from vlm_uec.config.schema import Config


def cautions(config: Config) -> list[str]:
    """One line per setting to reconsider, with the keys that change it."""
    note = token_loss(config.loss.name).replay_note
    if not config.stabilizer.enabled or not note:
        return []
    return [
        f"loss.name {config.loss.name} with stabilizer.enabled: {note}; compare with stabilizer.enabled=false"
    ]
