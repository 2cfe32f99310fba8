"""Selective retention: which trajectories are used for an update. All functions preserve the order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from vlm_uec.types import Trajectory

RetentionRule = Literal["positive", "magnitude"]


def retain_regular(ts: Sequence[Trajectory], threshold: float) -> list[Trajectory]:
    """Regular trajectories with |advantage| > threshold, both signs (reference threshold 0.05)."""
    return [t for t in ts if abs(t.advantage) > threshold]


def retain_mixed_groups(ts: Sequence[Trajectory]) -> list[Trajectory]:
    """Trajectories of prompts with both right and wrong responses in `ts`; other groups have no gradient.

    DAPO's dynamic sampling (arXiv 2503.14476, section 3.2). Compares accuracies, because the length penalty
    gives different rewards to equally wrong answers.
    """
    accuracies: dict[str, set[float]] = defaultdict(set)
    for t in ts:
        accuracies[t.response.problem_id].add(t.reward.accuracy)
    return [t for t in ts if len(accuracies[t.response.problem_id]) > 1]


def retain_exploration(ts: Sequence[Trajectory], rule: RetentionRule, threshold: float) -> list[Trajectory]:
    """Exploration trajectories that pass a rule. Raises ValueError for an unknown rule.

    "positive" (paper): advantage > 0, the threshold is not used. "magnitude" (reference code):
    |advantage| > threshold (1, later 0.5).
    """
    if rule == "positive":
        return [t for t in ts if t.advantage > 0]
    if rule == "magnitude":
        return [t for t in ts if abs(t.advantage) > threshold]
    raise ValueError(f"unknown retention rule {rule!r}; use 'positive' or 'magnitude'")


def drop_overlong(ts: Sequence[Trajectory]) -> tuple[list[Trajectory], int]:
    """Drops truncated trajectories with positive advantage; also returns how many it dropped.

    A truncated right answer must not be reinforced; a truncated wrong one may still be discouraged.
    """
    kept = [t for t in ts if not (t.response.truncated and t.advantage > 0)]
    return kept, len(ts) - len(kept)
