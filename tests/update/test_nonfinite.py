"""Skipped updates are told with their problems, counted in a row, and too many end the run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from tests.support.fakes import make_stats
from vlm_uec.errors import RunFailed
from vlm_uec.telemetry.metrics import update_metrics
from vlm_uec.update.learner import UpdateStats
from vlm_uec.update.nonfinite import UpdateGuard

SOUND = make_stats(grad_norm=0.5, trajectories=6)


def _bad(*names: str) -> UpdateStats:
    return make_stats(grad_norm=math.nan, policy_loss=math.nan, trajectories=6, suspects=names)


def _see(guard: UpdateGuard, updates: Sequence[UpdateStats]) -> list[str]:
    said: list[str] = []
    guard.check(7, updates, said.append)
    return said


def test_a_skipped_update_is_told_with_its_problems() -> None:
    guard = UpdateGuard(3)
    assert _see(guard, [SOUND, _bad("p1", "p2")]) == [
        "step 7: an update was skipped, its loss or gradient was not finite (1 in a row); "
        "problems in it: p1, p2"
    ]


def test_of_many_problems_the_first_are_named() -> None:
    (line,) = _see(UpdateGuard(3), [_bad(*(f"p{number}" for number in range(10)))])
    assert line.endswith("p0, p1, p2, p3, p4, p5, p6, p7 and 2 more")


def test_a_sound_update_starts_the_count_again() -> None:
    guard = UpdateGuard(2)
    for _ in range(5):
        _see(guard, [_bad("p"), SOUND])
    assert guard.consecutive == 0


def test_so_many_consecutive_end_the_run_across_steps_and_resumes() -> None:
    guard = UpdateGuard(3)
    _see(guard, [SOUND, _bad("p")])
    guard = UpdateGuard(3, guard.consecutive)
    _see(guard, [_bad("p")])
    with pytest.raises(RunFailed, match=r"3 updates in a row.*guard\.bad_updates"):
        _see(guard, [_bad("p")])


def test_metrics_count_what_was_skipped_and_mean_over_the_rest() -> None:
    values = update_metrics([SOUND, _bad("p"), make_stats(grad_norm=1.5, trajectories=4)])
    assert values["grad_norm"] == 1.0
    assert values["update/trajectories"] == 10
    assert values["update/skipped"] == 1
    assert values["update/skipped_trajectories"] == 6


def test_a_step_with_nothing_but_skipped_updates_has_no_means() -> None:
    assert update_metrics([_bad("p")]) == {"update/skipped": 1, "update/skipped_trajectories": 6}


def test_a_step_without_skipped_updates_does_not_speak_of_them() -> None:
    assert "update/skipped" not in update_metrics([SOUND])
