"""Shapes of a benchmarked training step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StepShape:
    """Size of the model, the pictures and the responses, and how each side computes."""

    model: str
    pixels: int  # side of the square picture
    max_tokens: int
    precision: str
    prompts: int = 8
    n: int = 8
    checkpointing: bool = False  # of activations, on both sides
    budget: int = 20_000  # packed positions per pass of ours; by default one pass per step, as in TRL
    trl_rows: int | None = None  # responses per pass of TRL; None: all in one pass


STEP_SHAPES = {
    "short": StepShape("2m", 84, 64, "fp32"),
    "geometry3k": StepShape("2m", 392, 128, "fp32"),
    "3b": StepShape("3b", 532, 256, "bf16", prompts=16, checkpointing=True, budget=8192, trl_rows=8),
}
