"""Phase times against a clock that is set by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_uec.telemetry.timers import PhaseTimer


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_phases_accumulate_and_sum_to_the_step() -> None:
    clock = Clock()
    timer = PhaseTimer(clock)
    for _ in range(2):
        with timer.phase("rollout"):
            clock.now += 3
        clock.now += 0.5
        with timer.phase("update"):
            clock.now += 1
    assert timer.finish() == {"time/rollout": 6, "time/update": 2, "time/other": 1, "time/step": 9}


def test_an_inner_phase_is_charged_once() -> None:
    clock = Clock()
    timer = PhaseTimer(clock)
    with timer.phase("rollout"):
        clock.now += 1
        with timer.phase("reward"):
            clock.now += 4
            with timer.phase("rollout"):
                clock.now += 8
        clock.now += 2
    assert timer.finish() == {"time/rollout": 11, "time/reward": 4, "time/other": 0, "time/step": 15}


def test_the_next_step_starts_at_nothing() -> None:
    clock = Clock()
    timer = PhaseTimer(clock)
    with timer.phase("rollout"):
        clock.now += 1
    timer.finish()
    clock.now += 2
    assert timer.finish() == {"time/other": 2, "time/step": 2}


def test_a_phase_that_fails_is_charged_and_closed() -> None:
    clock = Clock()
    timer = PhaseTimer(clock)
    with pytest.raises(ZeroDivisionError), timer.phase("update"):
        clock.now += 3
        raise ZeroDivisionError
    assert timer.finish()["time/update"] == 3


def test_finish_inside_a_phase_is_refused() -> None:
    timer = PhaseTimer(Clock())
    with timer.phase("update"), pytest.raises(RuntimeError, match="update"):
        timer.finish()


# Whole seconds, so that sums are exact.
EVENTS = st.lists(st.tuples(st.sampled_from(["open", "close"]), st.sampled_from("abc"), st.integers(0, 9)))


@settings(deadline=None)
@given(EVENTS)
def test_any_nesting_sums_to_the_step(events: list[tuple[str, str, int]]) -> None:
    clock = Clock()
    timer = PhaseTimer(clock)
    phases = []
    for kind, name, seconds in events:
        if kind == "open":
            phases.append(timer.phase(name))
            phases[-1].__enter__()
        elif phases:
            phases.pop().__exit__(None, None, None)
        clock.now += seconds
    while phases:
        phases.pop().__exit__(None, None, None)
    values = timer.finish()
    assert values["time/step"] == sum(seconds for *_, seconds in events)
    assert sum(value for name, value in values.items() if name != "time/step") == values["time/step"]
