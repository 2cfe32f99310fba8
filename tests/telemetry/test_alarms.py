"""Entropy alarms, computed by hand. Windows of two steps; the band is from 0.2 to 3 times."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from vlm_uec.telemetry.alarms import EntropyAlarm, EntropyBand

BAND = EntropyBand(low=0.2, high=3.0, window=2)


def _lines(entropies: Sequence[float | None]) -> dict[int, str]:
    """The messages, by step."""
    alarm = EntropyAlarm(BAND)
    lines = {step: alarm.update({"entropy/exact": value})[1] for step, value in enumerate(entropies, start=1)}
    return {step: line for step, line in lines.items() if line}


def test_a_steady_run_has_no_alarm() -> None:
    assert _lines([1.0, 2.0, 1.5, 1.2, 0.9, 0.7, 0.6]) == {}


def test_collapse_is_reported_once() -> None:
    """The first two have mean 1. At step 5, (0.3 + 0.2) / 2 = 0.25; at step 6, (0.2 + 0.1) / 2 = 0.15."""
    lines = _lines([1.2, 0.8, 0.5, 0.3, 0.2, 0.1, 0.1])
    assert list(lines) == [6]
    assert lines[6].startswith("ALARM: entropy collapse: 0.15 of its initial value, outside of 0.2 to 3")


def test_explosion_and_its_end() -> None:
    """The mean of the last two: 2.5 at step 3, 4 at step 4, 2.5 at step 5."""
    lines = _lines([1.0, 1.0, 4.0, 4.0, 1.0])
    assert {step: line[:25] for step, line in lines.items()} == {
        4: "ALARM: entropy explosion:",
        5: "entropy is back in its ba",
    }


def test_a_single_outlier_is_no_alarm() -> None:
    assert _lines([1.0, 1.0, 1.0, 0.0, 1.0, 4.9, 1.0]) == {}


def test_no_alarm_before_two_full_windows() -> None:
    assert _lines([1.0, 1.0, 0.0]) == {}


def test_zero_initial_entropy_gives_no_alarm() -> None:
    assert _lines([0.0, 0.0, 5.0, 5.0]) == {}


def test_a_step_without_entropy_is_ignored() -> None:
    assert list(_lines([1.0, None, 1.0, 0.1, None, 0.1])) == [6]


@pytest.mark.parametrize("cut", range(8))
def test_a_resumed_run_has_the_alarms_of_an_uninterrupted_run(cut: int) -> None:
    rows = [{"entropy/exact": value} for value in (1.0, 1.0, 0.5, 0.1, 0.1, 0.1, 2.0, 9.0)]
    uninterrupted = EntropyAlarm(BAND)
    expected = [uninterrupted.update(row) for row in rows]
    resumed = EntropyAlarm(BAND, rows[:cut])
    assert [resumed.update(row) for row in rows[cut:]] == expected[cut:]


def test_a_non_finite_entropy_is_ignored() -> None:
    """A resumed run reads null from metrics.jsonl in its place."""
    assert list(_lines([1.0, math.nan, 1.0, 0.1, math.inf, 0.1])) == [6]


def test_the_metrics_identify_the_alarm() -> None:
    alarm = EntropyAlarm(BAND, [{"entropy/exact": 1.0}] * 2)
    alarm.update({"entropy/exact": 0.1})
    metrics, _ = alarm.update({"entropy/exact": 0.1})
    assert metrics == {"alarm/entropy_collapse": 1.0, "alarm/entropy_explosion": 0.0}
