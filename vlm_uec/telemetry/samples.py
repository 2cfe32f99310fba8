"""Rows of a step's sample file: responses, rewards and replayed trajectories, for reading."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vlm_uec.trainer import StepOutcome
from vlm_uec.types import Response, Trajectory

MAX_PER_SOURCE = 64  # responses per step and source: keeps the files small


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
    """The first problems whose responses fit into `MAX_PER_SOURCE`; at least one problem.

    A problem's responses are all written or none: a mixed group, cut off, may look all wrong. A replay may
    contain one problem from several steps, far apart, so responses are grouped first.
    """
    groups: defaultdict[str, list[Trajectory]] = defaultdict(list)
    for trajectory in trajectories:
        groups[trajectory.response.problem_id].append(trajectory)
    written = 0
    for group in groups.values():
        if written and written + len(group) > MAX_PER_SOURCE:
            return
        written += len(group)
        yield from group
