"""The entropy stabiliser's replay buffer: high-advantage trajectories, replayed every few steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np

from vlm_uec.algorithm.pending import largest_multiple
from vlm_uec.algorithm.retention import RetentionRule, exceeds
from vlm_uec.types import ScoredTrajectory


class ReplayBuffer:
    """The newest `capacity` trajectories whose advantage exceeds `min_advantage` by `rule`, oldest first.

    "positive" (paper): advantage > min_advantage. "magnitude" (reference code): |advantage| > min_advantage.
    Wrong responses with a positive advantage are not kept (see `retention.exceeds`).

    Each keeps the advantage, old and reference log-probs it was stored with, so that the PPO clip limits
    the influence of stale trajectories. Raises ValueError for capacity < 1.
    """

    def __init__(
        self,
        capacity: int,
        min_advantage: float,
        items: Iterable[ScoredTrajectory] = (),
        rule: RetentionRule = "positive",
    ) -> None:
        """`items`: the trajectories of a checkpoint, oldest first; not filtered by `min_advantage` again."""
        if capacity < 1:
            raise ValueError(
                f"a replay buffer needs space for at least 1 trajectory, got capacity {capacity}"
            )
        self.capacity = capacity
        self.min_advantage, self.rule = min_advantage, rule
        self._items = deque(items, maxlen=capacity)

    def __len__(self) -> int:
        return len(self._items)

    def add(self, trajectories: Iterable[ScoredTrajectory]) -> None:
        """Adds those that pass the rule; beyond capacity, the oldest are dropped."""
        self._items.extend(t for t in trajectories if exceeds(t.trajectory, self.rule, self.min_advantage))

    def sample(self, unit: int, random: np.random.Generator | int) -> list[ScoredTrajectory]:
        """The trajectories of one replay, in buffer order; they stay in the buffer.

        A full buffer is replayed completely, even if its capacity is not a multiple of `unit`. A partly
        filled buffer gives a random sample, without replacement, of the largest multiple of `unit`; [] if it
        has fewer. `random`: a generator or a seed; one uniform number is drawn per kept trajectory, and only
        if a choice is needed. Raises ValueError for unit < 1.
        """
        count = largest_multiple(len(self), unit)
        if count == len(self) or len(self) == self.capacity:
            return list(self._items)
        return [self._items[i] for i in _sorted_choice(len(self), count, np.random.default_rng(random))]

    def items(self) -> tuple[ScoredTrajectory, ...]:
        """The buffer's content, oldest first, for the checkpoint."""
        return tuple(self._items)

    def age(self, now: int) -> float | None:
        """Mean number of trainer steps since the kept trajectories were sampled; None for an empty buffer."""
        return mean_age(self.items(), now)


def mean_age(trajectories: Sequence[ScoredTrajectory], now: int) -> float | None:
    """Mean number of trainer steps since these trajectories were sampled; None for an empty sequence."""
    if not trajectories:
        return None
    return sum(now - t.trajectory.step for t in trajectories) / len(trajectories)


def _sorted_choice(population: int, count: int, random: np.random.Generator) -> list[int]:
    # Ranks uniform numbers: numpy may change the stream of Generator.choice between versions.
    ranked = np.argsort(random.random(population), kind="stable")
    return sorted(int(index) for index in ranked[:count])
