"""Trajectories and log-probs between ranks, as a few arrays.

Pickling thousands of small tensors takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from vlm_uec.ranks.collectives import gather_lists, gather_objects
from vlm_uec.types import Response, Reward, Source, Trajectory

Key = TypeVar("Key")
_STATISTICS = ("behaviour_logprobs", "policy_logprobs", "entropy", "kept_mass")


@dataclass(frozen=True)
class _Scalars:
    """What a trajectory has besides its tensors."""

    problem_id: str
    index: int
    source: Source
    truncated: bool
    has_mismatch: bool
    reward: tuple[float, float, float, str, str | None]
    advantage: float
    step: int


@dataclass(frozen=True)
class TrajectoryColumns:
    """Trajectories as columns; C: tokens of all responses."""

    scalars: tuple[tuple[Any, ...], ...]  # the fields of `_Scalars`, by trajectory
    lengths: np.ndarray  # [trajectories] int64
    tokens: np.ndarray  # [C] int64
    statistics: np.ndarray  # [C, 4] float32
    mismatch: np.ndarray  # float32: of the responses that have one

    @classmethod
    def of(cls, trajectories: Sequence[Trajectory]) -> TrajectoryColumns:
        responses = [trajectory.response for trajectory in trajectories]
        mismatches = [response.mismatch for response in responses if response.mismatch is not None]
        statistics = [_concatenated([getattr(r, name) for r in responses]) for name in _STATISTICS]
        return cls(
            scalars=tuple(_scalars(trajectory) for trajectory in trajectories),
            lengths=np.array([len(response.tokens) for response in responses], dtype=np.int64),
            tokens=_concatenated([response.tokens for response in responses], torch.int64),
            statistics=np.stack(statistics, axis=1),
            mismatch=_concatenated(mismatches),
        )

    def trajectories(self) -> list[Trajectory]:
        """The trajectories, equal to the given ones; each has its own memory."""
        ends = np.cumsum(self.lengths)
        tokens, statistics = (np.split(column, ends[:-1]) for column in (self.tokens, self.statistics))
        taken, result = 0, []
        for number, scalars in enumerate(self.scalars):
            fields = _Scalars(*scalars)
            mismatch = None
            if fields.has_mismatch:
                length = int(self.lengths[number])
                mismatch, taken = _own(self.mismatch[taken : taken + length]), taken + length
            result.append(_trajectory(fields, tokens[number], statistics[number], mismatch))
        return result


def gather_trajectories(work: Callable[[], Sequence[Trajectory]]) -> list[Trajectory]:
    """The trajectories that `work` returns on all ranks, in rank order, on every rank.

    An error on one rank is raised on all, as by `gather_lists`.
    """
    columns = gather_lists(lambda: [TrajectoryColumns.of(work())])
    return [trajectory for part in columns for trajectory in part.trajectories()]


def gather_union(own: Mapping[Key, torch.Tensor]) -> dict[Key, torch.Tensor]:
    """The float32 tensors [R] of all ranks, by key, on every rank."""
    lengths = [len(values) for values in own.values()]
    union: dict[Key, torch.Tensor] = {}
    for keys, counts, values in gather_objects((list(own), lengths, _concatenated(list(own.values())))):
        pieces = torch.from_numpy(values).split(counts) if counts else ()
        union |= {key: piece.clone() for key, piece in zip(keys, pieces, strict=True)}
    return union


def _scalars(trajectory: Trajectory) -> tuple[Any, ...]:
    response, reward = trajectory.response, trajectory.reward
    return (
        response.problem_id,
        response.index,
        response.source,
        response.truncated,
        response.mismatch is not None,
        (reward.total, reward.accuracy, reward.format, reward.reason, reward.verdict),
        trajectory.advantage,
        trajectory.step,
    )


def _trajectory(
    scalars: _Scalars, tokens: np.ndarray, statistics: np.ndarray, mismatch: torch.Tensor | None
) -> Trajectory:
    behaviour, policy, entropy, kept_mass = _own(statistics.T)
    response = Response(
        problem_id=scalars.problem_id,
        index=scalars.index,
        source=scalars.source,
        tokens=_own(tokens),
        behaviour_logprobs=behaviour,
        policy_logprobs=policy,
        entropy=entropy,
        kept_mass=kept_mass,
        truncated=scalars.truncated,
        mismatch=mismatch,
    )
    return Trajectory(response, Reward(*scalars.reward), scalars.advantage, scalars.step)


def _own(values: np.ndarray) -> torch.Tensor:
    """A copy, because a view would keep the arrays of all trajectories alive."""
    return torch.from_numpy(np.array(values, order="C"))


def _concatenated(tensors: Sequence[torch.Tensor], dtype: torch.dtype = torch.float32) -> np.ndarray:
    return torch.cat([torch.empty(0, dtype=dtype), *tensors]).to(dtype).numpy()
