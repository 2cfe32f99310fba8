"""The arithmetic of the entropy study's tables, by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from benchmarks.study_finals import by_kind, entropy_by_token
from benchmarks.study_probe import by_source, sign_test
from benchmarks.study_results import Outcome, Validated, at, estimate, paired_at, prediction_of, relative_gain


def _outcome(arm: str, seed: int, *course: tuple[int, int, float]) -> Outcome:
    """Steps, tokens and Pass@1 of every validation."""
    validated = tuple(Validated(step, tokens, value, 2 * value) for step, tokens, value in course)
    last = validated[-1]
    return Outcome(
        arm, seed, last.step, last.tokens, 0, 0.0, last.pass_1, last.pass_k, 1, 1, 1, 0, None, validated
    )


RUNS = [
    _outcome("UEC", 1, (10, 200, 0.4), (20, 400, 0.6)),
    _outcome("GRPO", 1, (10, 100, 0.3), (30, 300, 0.5), (40, 400, 0.5)),
    _outcome("UEC", 2, (10, 200, 0.5), (20, 400, 0.7)),
    _outcome("GRPO", 2, (10, 100, 0.3), (30, 300, 0.5), (40, 400, 0.6)),
]


def test_an_interval_is_students() -> None:
    """Mean 2, deviation 1, three seeds: 4.303 / sqrt(3) = 2.484 to each side."""
    found = estimate([1, 2, 3])
    assert (found.mean, found.low, found.high) == pytest.approx((2, 2 - 2.4843, 2 + 2.4843), abs=1e-3)
    assert estimate([5]).high == math.inf


@pytest.mark.parametrize(
    ("axis", "place", "expected"),
    [("tokens", 50, 0.25), ("tokens", 100, 0.3), ("tokens", 200, 0.4), ("step", 35, 0.5), ("step", 0, 0.2)],
)
def test_between_two_validations_lies_a_line(axis: str, place: float, expected: float) -> None:
    assert at(RUNS[1], axis, place, "pass_1", 0.2) == pytest.approx(expected)


def test_beyond_the_last_validation_nothing_is_known() -> None:
    with pytest.raises(ValueError, match="GRPO, seed 1: no validation at or after 401"):
        at(RUNS[1], "tokens", 401, "pass_1", 0.2)


def test_differences_are_taken_seed_by_seed_at_the_same_place() -> None:
    """At 200 tokens 0.4 and 0.5 against 0.4; at step 20 0.6 and 0.7 against 0.4."""
    tokens = paired_at(RUNS, ("UEC", "GRPO"), "tokens", 200, {"pass_1": 0.2, "pass_k": 0.4})
    assert (tokens["pass_1"].mean, tokens["pass_k"].mean) == pytest.approx((0.05, 0.1))
    assert paired_at(RUNS, ("UEC", "GRPO"), "step", 20, {"pass_1": 0.2})["pass_1"].mean == pytest.approx(0.25)


def test_a_relative_gain_is_of_the_means_over_the_base_model() -> None:
    """(0.65 - 0.25) / (0.55 - 0.25)."""
    assert relative_gain(RUNS, "UEC", "GRPO", 0.25) == pytest.approx(4 / 3)


def test_predicted_and_measured_changes_of_updates_and_replays_are_correlated_together() -> None:
    rows = [
        {"update/entropy_predicted": 1.0, "update/entropy_change": 2.0},
        {"update/entropy_predicted": 2.0, "update/entropy_change": 4.0, "replay/entropy_change": None},
        {"replay/entropy_predicted": -1.0, "replay/entropy_change": -2.0},
    ]
    assert prediction_of(rows) == pytest.approx(1)
    assert prediction_of(rows[:2]) is None


def test_the_sign_test_is_exact() -> None:
    """5 of 5 one way: 2 / 32. 4 of 5: 2 x (1 + 5) / 32. As many ups as downs: certain."""
    assert [sign_test(5, 0), sign_test(1, 4), sign_test(3, 3)] == [0.0625, 0.375, 1]


def test_pushes_are_told_by_source() -> None:
    probes = [{"source": "replay", "change": change} for change in (-0.2, -0.1, 0.1, 0.0)]
    told = by_source(probes)
    assert set(told) == {"replay"}
    assert (told["replay"]["probes"], told["replay"]["up"]) == (4, 1)
    assert told["replay"]["mean_change"] == pytest.approx(-0.05)


def _group(name: str, tokens: list[int], entropy: list[float]) -> Any:
    response = SimpleNamespace(tokens=torch.tensor(tokens), entropy=torch.tensor(entropy))
    return SimpleNamespace(prompt=SimpleNamespace(problem_id=name), responses=[response] * 16)


def test_kinds_are_means_over_their_problems() -> None:
    """4 and 0 of 16 right: Pass@1 1/8, and Pass@16 one problem of two."""
    groups = [_group("a", [1], [0.0]), _group("b", [1], [0.0])]
    right = {"a": 4, "b": 0}
    told = by_kind(groups, lambda group: right[group.prompt.problem_id], {"a": "angle", "b": "angle"})
    assert told == {"angle": {"pass_1": 0.125, "pass_k": 0.5}}


def test_entropy_is_told_of_digits_and_of_the_others() -> None:
    groups = [_group("a", [0, 1, 2], [0.6, 0.2, 0.0])]
    told = entropy_by_token(cast(Any, groups), torch.tensor([True, False, False]))
    assert told == pytest.approx({"digits": 0.6, "others": 0.1, "digits_share": 0.75}, abs=1e-6)
