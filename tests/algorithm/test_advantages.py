"""Group advantages and the difficulty test, against tables computed by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_uec.algorithm.advantages import group_advantages
from vlm_uec.algorithm.exploration import is_difficult

groups = st.lists(st.integers(0, 8), min_size=2, max_size=16)


@pytest.mark.parametrize(
    ("rewards", "expected"),
    [
        # mean 0.2; squares 0.64 + 4 * 0.04 = 0.8; variance 0.8 / 4 = 0.2; std 0.4472136, plus 1e-6
        ([1, 0, 0, 0, 0], [1.788850382, -0.447212596, -0.447212596, -0.447212596, -0.447212596]),
        # mean 0.5; squares 0.25 + 0.25; variance 0.5 / 1; std 0.7071068, plus 1e-6
        ([0, 1], [-0.707105781, 0.707105781]),
        # mean 2; squares 1 + 1 + 0 + 0; variance 2 / 3; std 0.8164966, plus 1e-6
        ([3, 1, 2, 2], [1.224743371, -1.224743371, 0.0, 0.0]),
    ],
)
def test_hand_computed(rewards: list[float], expected: list[float]) -> None:
    assert group_advantages(rewards) == pytest.approx(expected, abs=2e-9)


@pytest.mark.parametrize("rewards", [[], [1.0], [0.0] * 5, [0.7] * 8, [0.1] * 3, [1.1] * 20])
def test_equal_rewards_give_exactly_zero(rewards: list[float]) -> None:
    assert group_advantages(rewards) == [0.0] * len(rewards)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_non_finite_reward_is_rejected(bad: float) -> None:
    with pytest.raises(ValueError, match="reward 1 of the group"):
        group_advantages([0.0, bad, 1.0])


@given(groups)
def test_mean_is_zero(rewards: list[int]) -> None:
    assert sum(group_advantages(rewards)) == pytest.approx(0.0, abs=1e-12 * len(rewards) ** 2)


@given(groups, st.integers(-50, 50))
def test_shift_invariant(rewards: list[int], shift: int) -> None:
    shifted = group_advantages([reward + shift for reward in rewards])
    assert shifted == pytest.approx(group_advantages(rewards), abs=1e-9)


@given(groups, st.integers(1, 100))
def test_scale_invariant_up_to_the_floor(rewards: list[int], scale: int) -> None:
    # Unequal whole rewards of at most 16 have std >= 0.25, so the 1e-6 moves a result by at most 4e-6 of it.
    scaled = group_advantages([reward * scale for reward in rewards])
    assert scaled == pytest.approx(group_advantages(rewards), rel=1e-5, abs=1e-12)


@given(groups)
def test_advantages_are_ordered_like_rewards(rewards: list[int]) -> None:
    ranked = sorted(zip(rewards, group_advantages(rewards), strict=True))
    for (reward, advantage), (next_reward, next_advantage) in pairwise(ranked):
        assert (advantage < next_advantage) == (reward < next_reward)


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=8))
def test_position_in_the_group_does_not_matter(rewards: list[float]) -> None:
    assert group_advantages(rewards[::-1]) == group_advantages(rewards)[::-1]


def test_difficult_means_no_response_was_right() -> None:
    assert is_difficult([0.0, 0.0, 0.0])
    assert is_difficult([0.0])
    assert not is_difficult([0.0, 1.0, 0.0])
    assert not is_difficult([1.0, 1.0])


def test_difficulty_without_responses_is_an_error() -> None:
    with pytest.raises(ValueError, match="without responses"):
        is_difficult([])
