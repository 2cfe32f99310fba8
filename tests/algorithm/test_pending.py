"""The pending queue and mini-batches. Trajectories are identified by their index."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlm_uec.algorithm.pending import PendingQueue, minibatches
from vlm_uec.types import Response, Reward, Source, Trajectory


def trajectory(index: int, problem: str = "p", step: int = 1, source: Source = "regular") -> Trajectory:
    none = torch.zeros(1)
    response = Response(problem, index, source, torch.zeros(1).long(), none, none, none, none, False)
    return Trajectory(response, Reward(1.0, 1.0, 0.0, ""), 1.0, step)


def indices(ts: list[Trajectory] | tuple[Trajectory, ...]) -> list[int]:
    return [t.response.index for t in ts]


def test_pops_multiples_of_the_unit_oldest_first() -> None:
    queue = PendingQueue()
    queue.push([trajectory(i) for i in range(3)])
    assert queue.pop(4) == []
    queue.push([trajectory(i) for i in range(3, 10)])
    assert indices(queue.pop(4)) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert indices(queue.items()) == [8, 9]
    assert len(queue) == 2
    assert indices(queue.pop(1)) == [8, 9]
    assert queue.pop(1) == []


def test_resumes_from_its_items() -> None:
    queue = PendingQueue([trajectory(0), trajectory(1)])
    resumed = PendingQueue(queue.items())
    resumed.push([trajectory(2)])
    assert indices(resumed.pop(3)) == [0, 1, 2]
    assert len(queue) == 2


@pytest.mark.parametrize("unit", [0, -1])
def test_a_unit_below_one_is_an_error(unit: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        PendingQueue().pop(unit)
    with pytest.raises(ValueError, match="at least 1"):
        minibatches([], unit)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 7)), max_size=12))
def test_no_trajectory_is_lost_and_order_is_preserved(steps: list[tuple[int, int]]) -> None:
    queue, pushed, popped = PendingQueue(), 0, []
    for count, unit in steps:
        queue.push([trajectory(pushed + i) for i in range(count)])
        pushed += count
        batch = queue.pop(unit)
        assert len(batch) % unit == 0
        assert len(queue) < unit
        popped += indices(batch)
    assert popped + indices(queue.items()) == list(range(pushed))


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [
        (0, 3, []),
        (6, 3, [[0, 1, 2], [3, 4, 5]]),
        (7, 3, [[0, 1, 2], [3, 4, 5], [6]]),
        (2, 3, [[0, 1]]),
    ],
)
def test_minibatches(count: int, size: int, expected: list[list[int]]) -> None:
    assert minibatches(range(count), size) == expected


@given(st.lists(st.integers(), max_size=30), st.integers(1, 9))
def test_minibatches_partition_in_order(items: list[int], size: int) -> None:
    cut = minibatches(items, size)
    assert [item for batch in cut for item in batch] == items
    assert all(len(batch) == size for batch in cut[:-1])
    assert not cut or 0 < len(cut[-1]) <= size
