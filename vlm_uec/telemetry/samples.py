"""Responses of a step to read: what was sampled, what it earned, and what was trained on again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vlm_uec.trainer import StepOutcome
from vlm_uec.types import Response, Trajectory

A_SOURCE = 64  # responses of each source, a step: enough to read, small enough to keep


def sample_rows(outcome: StepOutcome, text: Callable[[Response], str]) -> Iterator[dict[str, Any]]:
    """The first problems' responses of each source, as rows of samples/step_000010.jsonl."""
    for source, trajectories in (
        ("regular", outcome.experience.regular),
        ("exploration", outcome.experience.explored),
        ("replay", outcome.replay.trajectories),
    ):
        for trajectory in _first_groups(trajectories):
            reward = trajectory.reward
            yield {
                "problem_id": trajectory.response.problem_id,
                "source": source,
                "index": trajectory.response.index,
                "response": text(trajectory.response),
                "reward": reward.total,
                "reward/accuracy": reward.accuracy,
                "reward/format": reward.format,
                "reason": reward.reason,
                "advantage": trajectory.advantage,
                "truncated": trajectory.response.truncated,
                "sampled_at": trajectory.step,
            }


def _first_groups(trajectories: Sequence[Trajectory]) -> Iterator[Trajectory]:
    """Problem by problem, as many as fit into `A_SOURCE` responses, and the first in any case.

    A problem's responses all or none: without those cut off, a mixed group may look all wrong. A replay may
    hold one problem's from several steps, which are far apart in it.
    """
    groups: defaultdict[str, list[Trajectory]] = defaultdict(list)
    for trajectory in trajectories:
        groups[trajectory.response.problem_id].append(trajectory)
    written = 0
    for group in groups.values():
        if written and written + len(group) > A_SOURCE:
            return
        written += len(group)
        yield from group
