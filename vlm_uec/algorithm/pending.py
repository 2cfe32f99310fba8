"""Batch accumulation: retained trajectories wait in a FIFO for a whole batch, then become mini-batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TypeVar

from vlm_uec.types import Trajectory

T = TypeVar("T")


class PendingQueue:
    """FIFO of retained trajectories. Every one pushed is popped exactly once, in the order pushed."""

    def __init__(self, items: Iterable[Trajectory] = ()) -> None:
        """`items`, oldest first, are those that waited when a checkpoint was written."""
        self._waiting = deque(items)

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, ts: Iterable[Trajectory]) -> None:
        self._waiting.extend(ts)

    def pop(self, unit: int) -> list[Trajectory]:
        """The largest whole multiple of `unit` trajectories, oldest first; [] where fewer wait.

        Raises ValueError for unit < 1. A unit of 1 takes everything (`pending.enabled: false`).
        """
        count = largest_multiple(len(self._waiting), unit)
        return [self._waiting.popleft() for _ in range(count)]

    def items(self) -> tuple[Trajectory, ...]:
        """Those waiting, oldest first, for the checkpoint."""
        return tuple(self._waiting)


def largest_multiple(count: int, unit: int) -> int:
    """The largest multiple of `unit` that is at most `count`. Raises ValueError for unit < 1."""
    if unit < 1:
        raise ValueError(f"a batch unit must be at least 1 trajectory, got {unit}")
    return count - count % unit


def minibatches(ts: Sequence[T], size: int) -> list[list[T]]:
    """Cuts in FIFO order, each `size` long; the last holds the rest. Raises ValueError for size < 1."""
    if size < 1:
        raise ValueError(f"a mini-batch must hold at least 1 trajectory, got {size}")
    return [list(ts[start : start + size]) for start in range(0, len(ts), size)]
