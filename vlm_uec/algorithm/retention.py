"""Selective retention: which trajectories are worth a gradient. All functions keep the order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from vlm_uec.types import Trajectory

RetentionRule = Literal["positive", "magnitude"]


def retain_regular(ts: Sequence[Trajectory], threshold: float) -> list[Trajectory]:
    """Regular trajectories with |advantage| > threshold, both signs (reference threshold 0.05)."""
    return [t for t in ts if abs(t.advantage) > threshold]


def retain_exploration(ts: Sequence[Trajectory], rule: RetentionRule, threshold: float) -> list[Trajectory]:
    """Exploration trajectories by one of two rules; ValueError for any other.

    "positive" is the paper's, advantage > 0, and does not read the threshold; "magnitude" is the
    reference code's, |advantage| > threshold (1, later 0.5).
    """
    if rule == "positive":
        return [t for t in ts if t.advantage > 0]
    if rule == "magnitude":
        return [t for t in ts if abs(t.advantage) > threshold]
    raise ValueError(f"unknown retention rule {rule!r}; use 'positive' or 'magnitude'")


def drop_overlong(ts: Sequence[Trajectory]) -> tuple[list[Trajectory], int]:
    """The trajectories without the truncated ones of positive advantage, and how many those were.

    A right answer that never stops is not to be reinforced; a wrong one may still be discouraged.
    """
    kept = [t for t in ts if not (t.response.truncated and t.advantage > 0)]
    return kept, len(ts) - len(kept)
