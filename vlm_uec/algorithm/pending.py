"""Batch accumulation: a FIFO collects retained trajectories until they fill a batch; then mini-batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TypeVar

from vlm_uec.types import Trajectory

T = TypeVar("T")


class PendingQueue:
    """FIFO of retained trajectories. Each is popped exactly once, in the order of pushing."""

    def __init__(self, items: Iterable[Trajectory] = ()) -> None:
        """`items`: the trajectories of a checkpoint, oldest first."""
        self._queue = deque(items)

    def __len__(self) -> int:
        return len(self._queue)

    def push(self, ts: Iterable[Trajectory]) -> None:
        self._queue.extend(ts)

    def pop(self, unit: int) -> list[Trajectory]:
        """Removes the largest multiple of `unit` trajectories, oldest first; [] if the queue has fewer.

        Raises ValueError for unit < 1. A unit of 1 removes everything (`pending.enabled: false`).
        """
        count = largest_multiple(len(self._queue), unit)
        return [self._queue.popleft() for _ in range(count)]

    def items(self) -> tuple[Trajectory, ...]:
        """The queue's content, oldest first, for the checkpoint."""
        return tuple(self._queue)


def largest_multiple(count: int, unit: int) -> int:
    """The largest multiple of `unit` that is at most `count`. Raises ValueError for unit < 1."""
    if unit < 1:
        raise ValueError(f"a batch unit must be at least 1 trajectory, got {unit}")
    return count - count % unit


def minibatches(ts: Sequence[T], size: int) -> list[list[T]]:
    """Consecutive slices of `size` items; the last has the remainder. Raises ValueError for size < 1."""
    if size < 1:
        raise ValueError(f"a mini-batch must have at least 1 trajectory, got {size}")
    return [list(ts[start : start + size]) for start in range(0, len(ts), size)]
