"""Responses of a step to read: what was sampled, what it earned, and what was trained on again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from vlm_uec.trainer import StepOutcome
from vlm_uec.types import Response

A_SOURCE = 64  # of each source, a step: enough to read, small enough to keep


def sample_rows(outcome: StepOutcome, text: Callable[[Response], str]) -> Iterator[dict[str, Any]]:
    """The first responses of each source, as rows of samples/step_000010.jsonl."""
    for source, trajectories in (
        ("regular", outcome.experience.regular),
        ("exploration", outcome.experience.explored),
        ("replay", outcome.replay.trajectories),
    ):
        for trajectory in trajectories[:A_SOURCE]:
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
