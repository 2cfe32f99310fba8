"""Skipped updates are reported with their problems; too many consecutive ones end the run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from tests.support.fakes import make_stats
from vlm_uec.errors import RunFailed
from vlm_uec.telemetry.metrics import update_metrics
from vlm_uec.update.learner import UpdateStats
from vlm_uec.update.nonfinite import UpdateGuard

FINITE = make_stats(grad_norm=0.5, trajectories=6)


def _skipped(*names: str) -> UpdateStats:
    return make_stats(grad_norm=math.nan, policy_loss=math.nan, trajectories=6, suspects=names)


def _check(guard: UpdateGuard, updates: Sequence[UpdateStats]) -> list[str]:
    messages: list[str] = []
    guard.check(7, updates, messages.append)
    return messages


def test_a_skipped_update_is_reported_with_its_problems() -> None:
    guard = UpdateGuard(3)
    assert _check(guard, [FINITE, _skipped("p1", "p2")]) == [
        "step 7: an update was skipped because its loss or gradient was not finite (1 in a row); "
        "its problems: p1, p2"
    ]


def test_only_the_first_of_many_problems_are_listed() -> None:
    (line,) = _check(UpdateGuard(3), [_skipped(*(f"p{number}" for number in range(10)))])
    assert line.endswith("p0, p1, p2, p3, p4, p5, p6, p7 and 2 more")


def test_a_finite_update_resets_the_count() -> None:
    guard = UpdateGuard(2)
    for _ in range(5):
        _check(guard, [_skipped("p"), FINITE])
    assert guard.consecutive == 0


def test_so_many_consecutive_end_the_run_across_steps_and_resumes() -> None:
    guard = UpdateGuard(3)
    _check(guard, [FINITE, _skipped("p")])
    guard = UpdateGuard(3, guard.consecutive)
    _check(guard, [_skipped("p")])
    with pytest.raises(RunFailed, match=r"3 updates in a row.*guard\.bad_updates"):
        _check(guard, [_skipped("p")])


def test_metrics_are_means_over_the_other_updates() -> None:
    values = update_metrics([FINITE, _skipped("p"), make_stats(grad_norm=1.5, trajectories=4)])
    assert values["grad_norm"] == 1.0
    assert values["update/trajectories"] == 10
    assert values["update/skipped"] == 1
    assert values["update/skipped_trajectories"] == 6


def test_a_step_with_only_skipped_updates_has_no_means() -> None:
    assert update_metrics([_skipped("p")]) == {"update/skipped": 1, "update/skipped_trajectories": 6}


def test_a_step_without_skipped_updates_does_not_count_them() -> None:
    assert "update/skipped" not in update_metrics([FINITE])
