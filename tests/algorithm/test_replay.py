"""The replay buffer: what it keeps and samples. Trajectories are identified by response index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlm_uec.algorithm.replay import ReplayBuffer, mean_age
from vlm_uec.algorithm.retention import RetentionRule
from vlm_uec.types import Response, Reward, ScoredTrajectory, Trajectory


def scored(index: int, advantage: float = 2.0, step: int = 1, accuracy: float = 1.0) -> ScoredTrajectory:
    none = torch.zeros(1)
    response = Response("p", index, "regular", torch.zeros(1).long(), none, none, none, none, False)
    reward = Reward(accuracy, accuracy, 0.0, "")
    return ScoredTrajectory(Trajectory(response, reward, advantage, step), none, None)


def filled(capacity: int, count: int) -> ReplayBuffer:
    return ReplayBuffer(capacity, 1.0, [scored(index) for index in range(count)])


def indices(ts: Sequence[ScoredTrajectory]) -> list[int]:
    return [t.trajectory.response.index for t in ts]


def test_keeps_only_advantages_above_the_minimum() -> None:
    buffer = ReplayBuffer(10, 1.0)
    buffer.add([scored(0, 1.0), scored(1, 1.0001), scored(2, -3.0), scored(3, 0.0), scored(4, 1.78)])
    assert indices(buffer.items()) == [1, 4]


def test_the_magnitude_rule_keeps_both_signs() -> None:
    buffer = ReplayBuffer(10, 1.0, rule="magnitude")
    buffer.add([scored(0, 1.0), scored(1, 1.0001), scored(2, -3.0), scored(3, -1.0), scored(4, 1.78)])
    assert indices(buffer.items()) == [1, 2, 4]


@pytest.mark.parametrize(("rule", "expected"), [("positive", [1]), ("magnitude", [1, 2])])
def test_wrong_answers_with_a_positive_advantage_are_not_replayed(
    rule: RetentionRule, expected: list[int]
) -> None:
    buffer = ReplayBuffer(10, 1.0, rule=rule)
    buffer.add([scored(0, 2.92, accuracy=0.0), scored(1, 2.92), scored(2, -2.92, accuracy=0.0)])
    assert indices(buffer.items()) == expected


def test_beyond_capacity_the_newest_are_kept() -> None:
    buffer = ReplayBuffer(3, 1.0)
    buffer.add([scored(0), scored(1)])
    buffer.add([scored(2), scored(3, 0.5), scored(4)])
    assert indices(buffer.items()) == [1, 2, 4]
    buffer.add([scored(index) for index in range(10, 15)])
    assert indices(buffer.items()) == [12, 13, 14]
    assert len(buffer) == 3


def test_a_full_buffer_is_replayed_completely() -> None:
    assert indices(filled(6, 6).sample(4, 0)) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(("count", "sampled"), [(0, 0), (3, 0), (4, 4), (7, 4), (8, 8), (11, 8)])
def test_a_partly_filled_buffer_gives_the_largest_multiple(count: int, sampled: int) -> None:
    buffer = filled(100, count)
    chosen = indices(buffer.sample(4, 3))
    assert len(chosen) == sampled
    assert chosen == sorted(set(chosen))  # without replacement, in buffer order
    assert len(buffer) == count  # sampling does not consume


def test_the_seed_determines_the_sample() -> None:
    buffer = filled(100, 7)
    assert indices(buffer.sample(4, 5)) == indices(buffer.sample(4, np.random.default_rng(5)))
    assert len({tuple(indices(buffer.sample(4, seed))) for seed in range(30)}) > 5


def test_every_trajectory_is_equally_likely() -> None:
    buffer, generator = filled(100, 5), np.random.default_rng(0)
    counts = Counter(index for _ in range(1000) for index in indices(buffer.sample(4, generator)))
    # Binomial(1000, 4 / 5): mean 800, standard deviation 12.6; five of them make 63.
    assert all(737 <= counts[index] <= 863 for index in range(5))


def test_resumes_from_its_items() -> None:
    buffer = filled(4, 3)
    resumed = ReplayBuffer(4, 1.0, buffer.items())
    resumed.add([scored(10), scored(11)])
    assert indices(resumed.items()) == [1, 2, 10, 11]
    assert len(buffer) == 3


def test_age_is_the_mean_number_of_steps() -> None:
    ts = [scored(0, step=2), scored(1, step=4), scored(2, step=9)]
    # (10 - 2 + 10 - 4 + 10 - 9) / 3 = 15 / 3
    assert mean_age(ts, 10) == 5.0
    assert ReplayBuffer(5, 1.0, ts).age(10) == 5.0
    assert mean_age([], 10) is None
    assert ReplayBuffer(5, 1.0).age(10) is None


def test_invalid_sizes_are_errors() -> None:
    with pytest.raises(ValueError, match="capacity 0"):
        ReplayBuffer(0, 1.0)
    with pytest.raises(ValueError, match="at least 1"):
        filled(5, 3).sample(0, 0)


@given(st.integers(1, 8), st.lists(st.lists(st.floats(-3, 3), max_size=6), max_size=6), st.integers(1, 5))
def test_capacity_newest_and_multiples(capacity: int, additions: list[list[float]], unit: int) -> None:
    buffer, eligible, index = ReplayBuffer(capacity, 1.0), [], 0
    for advantages in additions:
        buffer.add([scored(index + i, advantage) for i, advantage in enumerate(advantages)])
        eligible += [index + i for i, advantage in enumerate(advantages) if advantage > 1.0]
        index += len(advantages)
        assert indices(buffer.items()) == eligible[-capacity:]
    chosen = indices(buffer.sample(unit, 0))
    if len(buffer) == capacity:
        assert chosen == indices(buffer.items())
    else:
        assert len(chosen) == len(buffer) // unit * unit
        assert set(chosen) <= set(indices(buffer.items()))
