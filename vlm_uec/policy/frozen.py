"""What of the vision side no update changes."""

from __future__ import annotations

from dataclasses import dataclass

from vlm_uec.config import Config


@dataclass(frozen=True)
class Frozen:
    """Parts that stay as they are."""

    tower: bool = False
    projector: bool = False  # what maps the tower's features to the text model's width


NOTHING = Frozen()


def frozen_parts(config: Config) -> Frozen:
    """As the config says; with adapters all that has none."""
    model = config.model
    if config.lora.rank is not None:
        return Frozen(tower=not config.lora.vision, projector=True)
    projector = model.freeze_vision if model.freeze_projector is None else model.freeze_projector
    return Frozen(tower=model.freeze_vision, projector=projector)
