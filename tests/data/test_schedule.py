from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_uec.data.schedule import MixturePart, ProblemSchedule, allocate_prompts, interleave
from vlm_uec.errors import UserError

IDS = tuple(f"p{number}" for number in range(11))


def _schedule(*parts: MixturePart, seed: int = 1) -> ProblemSchedule:
    return ProblemSchedule(parts, seed)


def test_an_epoch_has_whole_steps_and_no_repeated_problem() -> None:
    """11 problems, 4 per step: an epoch has two steps and three leftover problems, which differ by epoch."""
    schedule = _schedule(MixturePart("", IDS, 4))
    epochs = [[*schedule.step(2 * epoch + 1), *schedule.step(2 * epoch + 2)] for epoch in range(40)]
    assert all(len(set(epoch)) == 8 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 40
    scheduled = Counter(name for epoch in epochs for name in epoch)
    assert set(scheduled) == set(IDS)


def test_a_step_depends_only_on_seed_and_number() -> None:
    schedule, again = _schedule(MixturePart("", IDS, 4)), _schedule(MixturePart("", IDS, 4))
    later = schedule.step(9)
    assert [schedule.step(3), schedule.step(9)] == [again.step(3), later]
    assert _schedule(MixturePart("", IDS, 4), seed=2).step(3) != schedule.step(3)


def test_every_data_set_of_a_mixture_has_its_share_and_its_own_epochs() -> None:
    """Per step, 6 of the 11 problems of a and 2 of the 4 of b: an epoch of b has two steps."""
    others = ("q0", "q1", "q2", "q3")
    schedule = _schedule(MixturePart("a", IDS, 6), MixturePart("b", others, 2))
    steps = [schedule.step(number) for number in range(1, 7)]
    for step in steps:
        assert Counter(name[0] for name in step) == {"p": 6, "q": 2}
        assert len(set(step)) == 8
    for first in (0, 2, 4):
        pair = [name for step in steps[first : first + 2] for name in step if name[0] == "q"]
        assert sorted(pair) == sorted(others)


def test_data_sets_of_equal_size_have_different_orders() -> None:
    parts = [MixturePart(name, tuple(f"{name}{number}" for number in range(50)), 25) for name in "ab"]
    step = _schedule(*parts).step(1)
    orders = [[name[1:] for name in step if name[0] == part] for part in "ab"]
    assert orders[0] != orders[1]


@pytest.mark.parametrize(
    ("weights", "prompts", "expected"),
    [
        ({"a": 1.0}, 5, {"a": 5}),
        ({"a": 3.0, "b": 1.0}, 8, {"a": 6, "b": 2}),
        ({"a": 0.7, "b": 0.3}, 512, {"a": 358, "b": 154}),  # 358.4 and 153.6
        ({"a": 1.0, "b": 1.0, "c": 1.0}, 8, {"a": 3, "b": 3, "c": 2}),
        ({"a": 99.0, "b": 1.0}, 8, {"a": 8, "b": 0}),
    ],
)
def test_allocation(weights: dict[str, float], prompts: int, expected: dict[str, int]) -> None:
    assert allocate_prompts(weights, prompts) == expected


@given(
    st.dictionaries(st.text(max_size=3), st.integers(1, 1000), min_size=1, max_size=6), st.integers(1, 1000)
)
def test_allocation_sums_to_the_prompts_and_is_within_one_of_exact(
    weights: dict[str, int], prompts: int
) -> None:
    counts = allocate_prompts({name: float(weight) for name, weight in weights.items()}, prompts)
    assert sum(counts.values()) == prompts
    for name, weight in weights.items():
        assert abs(counts[name] - Fraction(prompts * weight, sum(weights.values()))) < 1


def test_lists_are_interleaved_evenly() -> None:
    """Positions (0.5, 1.5, 2.5, 3.5) / 4 and (0.5, 1.5) / 2; ties keep the order of the lists."""
    assert interleave([["a1", "a2", "a3", "a4"], ["b1", "b2"]]) == ["a1", "b1", "a2", "a3", "b2", "a4"]
    assert interleave([["a1", "a2"]]) == ["a1", "a2"]


def test_too_few_problems_and_too_small_weights_are_refused() -> None:
    with pytest.raises(UserError, match=r"rollout\.prompts is 12, but there are 11 problems; lower it"):
        _schedule(MixturePart("", IDS, 12))
    with pytest.raises(UserError, match=r"a step takes 12, but there are 11 problems in data/a; lower it"):
        _schedule(MixturePart("data/a", IDS, 12), MixturePart("data/b", IDS, 4))
    with pytest.raises(UserError, match=r"data/b gets no prompt of a step; raise its weight"):
        _schedule(MixturePart("data/a", IDS, 8), MixturePart("data/b", IDS, 0))
