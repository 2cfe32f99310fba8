"""The parts of the two kinds of model: Qwen2.5-VL, and the text-only Qwen2.5 of the same layers."""

from __future__ import annotations

from typing import Any


def text_model(model: Any) -> Any:
    """Embedding, layers and final norm."""
    return getattr(model.model, "language_model", model.model)


def vision_tower(model: Any) -> Any | None:
    """None of a model that reads no pictures."""
    return getattr(model.model, "visual", None)
