"""Shapes of a benchmarked training step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StepShape:
    """A model, a picture and a length."""

    model: str
    pixels: int  # side of the square picture
    max_tokens: int
    precision: str
    prompts: int = 8
    n: int = 8
    checkpointing: bool = False  # of activations, on both sides
    budget: int = 20_000  # our packed positions a pass: all of a step's, as TRL's one batch has
    trl_rows: int | None = None  # TRL's responses a pass; all at once if not given


STEP_SHAPES = {
    "short": StepShape("2m", 84, 64, "fp32"),
    "geometry3k": StepShape("2m", 392, 128, "fp32"),
    "3b": StepShape("3b", 532, 256, "bf16", prompts=16, checkpointing=True, budget=8192, trl_rows=8),
}
