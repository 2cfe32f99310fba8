"""Selective retention, against tables computed by hand. Trajectories are identified by response index."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlm_uec.algorithm.advantages import group_advantages
from vlm_uec.algorithm.retention import (
    RetentionRule,
    drop_overlong,
    retain_exploration,
    retain_mixed_groups,
    retain_regular,
)
from vlm_uec.types import Response, Reward, Trajectory


def trajectory(index: int, advantage: float, truncated: bool = False, accuracy: float = 1.0) -> Trajectory:
    none = torch.zeros(1)
    response = Response("p", index, "regular", torch.zeros(1).long(), none, none, none, none, truncated)
    return Trajectory(response, Reward(0.0, accuracy, 0.0, ""), advantage, step=1)


def trajectories(*advantages: float) -> list[Trajectory]:
    return [trajectory(index, advantage) for index, advantage in enumerate(advantages)]


def kept(ts: list[Trajectory]) -> list[int]:
    return [t.response.index for t in ts]


def test_regular_keeps_both_signs_above_the_threshold() -> None:
    ts = trajectories(0.0, 0.05, -0.05, 0.051, -0.051, 1.8, -0.4)
    assert kept(retain_regular(ts, 0.05)) == [3, 4, 5, 6]


def test_regular_with_threshold_zero_drops_only_zero() -> None:
    assert kept(retain_regular(trajectories(0.0, 1e-9, -0.0, -1e-9), 0.0)) == [1, 3]


def test_mixed_groups_have_right_and_wrong_answers_regardless_of_advantages() -> None:
    """Group a is all wrong, with different lengths and so different advantages; group c is all right."""
    rows = [("a", 0, 0.7), ("b", 0, 0.0), ("c", 1, 0.3), ("a", 0, -0.7), ("b", 1, 1.2), ("c", 1, -0.3)]
    ts = [
        replace(one, response=replace(one.response, problem_id=name), reward=Reward(0.0, accuracy, 0.0, ""))
        for index, (name, accuracy, advantage) in enumerate(rows)
        for one in [trajectory(index, advantage)]
    ]
    assert kept(retain_mixed_groups(ts)) == [1, 4]


@pytest.mark.parametrize(
    ("rule", "threshold", "expected"),
    [
        ("positive", 1.0, [1, 2, 3]),
        ("magnitude", 1.0, [3, 5]),
        ("magnitude", 0.5, [2, 3, 5]),
    ],
)
def test_exploration_rules(rule: str, threshold: float, expected: list[int]) -> None:
    ts = trajectories(0.0, 0.3, 1.0, 4.2, -0.5, -1.5)
    assert kept(retain_exploration(ts, rule, threshold)) == expected  # type: ignore[arg-type]


def test_an_unknown_rule_is_an_error() -> None:
    with pytest.raises(ValueError, match="'both'"):
        retain_exploration([], "both", 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", ["positive", "magnitude"])
def test_exploration_keeps_no_wrong_answer_for_its_form(rule: RetentionRule) -> None:
    """20 wrong answers, 2 of them well formed with reward 0.1: mean 0.01, sample variance
    (2 * 0.09^2 + 18 * 0.01^2) / 19 = 0.018 / 19, so both have (0.1 - 0.01) / sqrt(0.018 / 19) = 2.92."""
    advantages = group_advantages([0.1] * 2 + [0.0] * 18)
    assert advantages[:2] == pytest.approx([2.924, 2.924], abs=1e-3)
    ts = [trajectory(index, advantage, accuracy=0.0) for index, advantage in enumerate(advantages)]
    assert kept(retain_exploration(ts, rule, 1.0)) == []


def test_the_magnitude_rule_keeps_wrong_answers_that_are_discouraged() -> None:
    ts = [trajectory(0, -1.5, accuracy=0.0), trajectory(1, 1.5, accuracy=0.0), trajectory(2, 1.5)]
    assert kept(retain_exploration(ts, "magnitude", 1.0)) == [0, 2]


def test_overlong_filter_drops_only_truncated_right_answers() -> None:
    ts = [trajectory(0, 1.0, True), trajectory(1, -1.0, True), trajectory(2, 1.0), trajectory(3, 0.0, True)]
    remaining, dropped = drop_overlong(ts)
    assert kept(remaining) == [1, 2, 3]
    assert dropped == 1


def test_empty_input_gives_empty_output() -> None:
    assert retain_regular([], 0.05) == []
    assert retain_exploration([], "positive", 0.0) == []
    assert drop_overlong([]) == ([], 0)


@given(st.lists(st.tuples(st.floats(-3, 3), st.booleans()), max_size=20), st.floats(0, 2))
def test_retention_preserves_the_order(members: list[tuple[float, bool]], threshold: float) -> None:
    ts = [trajectory(index, advantage, cut) for index, (advantage, cut) in enumerate(members)]
    remaining, dropped = drop_overlong(ts)
    assert len(remaining) + dropped == len(ts)
    for retained in (
        remaining,
        retain_regular(ts, threshold),
        retain_exploration(ts, "positive", threshold),
        retain_exploration(ts, "magnitude", threshold),
    ):
        assert kept(retained) == sorted(set(kept(retained)))
