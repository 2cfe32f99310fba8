"""Selective retention: which trajectories are used for an update. All functions preserve the order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, get_args

from vlm_uec.types import Trajectory

RetentionRule = Literal["positive", "magnitude"]


def retain_regular(trajectories: Sequence[Trajectory], threshold: float) -> list[Trajectory]:
    """Regular trajectories with |advantage| > threshold, both signs (reference threshold 0.05)."""
    return [t for t in trajectories if abs(t.advantage) > threshold]


def retain_mixed_groups(trajectories: Sequence[Trajectory]) -> list[Trajectory]:
    """Trajectories of prompts with both right and wrong responses; other groups have no gradient.

    DAPO's dynamic sampling (arXiv 2503.14476, section 3.2). Compares accuracies, because the length penalty
    gives different rewards to equally wrong answers.
    """
    accuracies: dict[str, set[float]] = defaultdict(set)
    for t in trajectories:
        accuracies[t.response.problem_id].add(t.reward.accuracy)
    return [t for t in trajectories if len(accuracies[t.response.problem_id]) > 1]


def retain_exploration(
    trajectories: Sequence[Trajectory], rule: RetentionRule, threshold: float
) -> list[Trajectory]:
    """Exploration trajectories that pass a rule. Raises ValueError for an unknown rule.

    "positive" (paper): advantage > 0, the threshold is not used. "magnitude" (reference code):
    |advantage| > threshold (1, later 0.5). Both drop wrong responses with a positive advantage.
    """
    if rule not in get_args(RetentionRule):
        raise ValueError(f"unknown retention rule {rule!r}; use 'positive' or 'magnitude'")
    bound = 0.0 if rule == "positive" else threshold
    return [t for t in trajectories if exceeds(t, rule, bound)]


def exceeds(trajectory: Trajectory, rule: RetentionRule, threshold: float) -> bool:
    """Whether the advantage ("positive") or its magnitude is above the threshold, and earned.

    A wrong response can have a positive advantage, from a format reward or a length penalty: exploration
    and replay would then reinforce the form of answers to problems that nothing solves.
    """
    advantage = trajectory.advantage
    is_earned = advantage <= 0 or trajectory.reward.accuracy > 0
    return is_earned and (advantage if rule == "positive" else abs(advantage)) > threshold


def drop_overlong(trajectories: Sequence[Trajectory]) -> tuple[list[Trajectory], int]:
    """Drops truncated trajectories with positive advantage; also returns how many it dropped.

    A truncated right answer must not be reinforced; a truncated wrong one may still be discouraged.
    """
    kept = [t for t in trajectories if not (t.response.truncated and t.advantage > 0)]
    return kept, len(trajectories) - len(kept)
