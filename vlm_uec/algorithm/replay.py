"""The entropy stabiliser's replay buffer: high-advantage trajectories, replayed every few steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np

from vlm_uec.algorithm.pending import largest_multiple
from vlm_uec.types import ScoredTrajectory


class ReplayBuffer:
    """The newest `capacity` trajectories with advantage > `min_advantage`, oldest first.

    Each keeps the advantage, old and reference log-probs it was stored with, so that the PPO clip bounds
    what a stale one can do. Raises ValueError for capacity < 1.
    """

    def __init__(self, capacity: int, min_advantage: float, items: Iterable[ScoredTrajectory] = ()) -> None:
        """`items`, oldest first, are a checkpoint's; they passed `min_advantage` when they were added."""
        if capacity < 1:
            raise ValueError(f"a replay buffer must hold at least 1 trajectory, got capacity {capacity}")
        self.capacity = capacity
        self.min_advantage = min_advantage
        self._kept = deque(items, maxlen=capacity)

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, ts: Iterable[ScoredTrajectory]) -> None:
        """Keeps those with advantage > min_advantage; beyond capacity the oldest leave."""
        self._kept.extend(t for t in ts if t.trajectory.advantage > self.min_advantage)

    def sample(self, unit: int, uniforms: np.random.Generator | int) -> list[ScoredTrajectory]:
        """What one replay trains on, in buffer order; the buffer keeps it.

        A full buffer is replayed whole, also where its capacity is no multiple of `unit`. A partly filled
        one gives a random sample, without replacement, of the largest multiple of `unit`: [] where it holds
        fewer. `uniforms` is a generator or a seed; one uniform is drawn for each kept trajectory, and only
        where a choice is needed. Raises ValueError for unit < 1.
        """
        count = largest_multiple(len(self), unit)
        if count == len(self) or len(self) == self.capacity:
            return list(self._kept)
        return [self._kept[i] for i in _sorted_choice(len(self), count, np.random.default_rng(uniforms))]

    def items(self) -> tuple[ScoredTrajectory, ...]:
        """The kept ones, oldest first, for the checkpoint."""
        return tuple(self._kept)

    def age(self, now: int) -> float | None:
        """Mean number of trainer steps since the kept ones were sampled; None for an empty buffer."""
        return mean_age(self.items(), now)


def mean_age(ts: Sequence[ScoredTrajectory], now: int) -> float | None:
    """Mean number of trainer steps since these were sampled; None for none."""
    if not ts:
        return None
    return sum(now - t.trajectory.step for t in ts) / len(ts)


def _sorted_choice(population: int, count: int, uniforms: np.random.Generator) -> list[int]:
    # Ranking plain uniforms, because numpy does not promise the stream of Generator.choice across versions.
    ranked = np.argsort(uniforms.random(population), kind="stable")
    return sorted(int(index) for index in ranked[:count])
