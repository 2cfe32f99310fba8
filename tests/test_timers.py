"""Phase times with a simulated clock."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_uec.timers import PhaseTimer


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


def test_time_of_an_inner_phase_is_not_counted_in_the_outer_one() -> None:
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


def test_each_step_starts_at_zero() -> None:
    clock = Clock()
    timer = PhaseTimer(clock)
    with timer.phase("rollout"):
        clock.now += 1
    timer.finish()
    clock.now += 2
    assert timer.finish() == {"time/other": 2, "time/step": 2}


def test_a_phase_that_raises_is_counted_and_closed() -> None:
    clock = Clock()
    timer = PhaseTimer(clock)
    with pytest.raises(ZeroDivisionError), timer.phase("update"):
        clock.now += 3
        raise ZeroDivisionError
    assert timer.finish()["time/update"] == 3


def test_move_reassigns_a_share_of_the_time_of_a_phase() -> None:
    """Moves a quarter of the 8 s that rollout has so far, 4 of them in the open phase; 5 s follow."""
    clock = Clock()
    timer = PhaseTimer(clock)
    with timer.phase("exploration"):
        clock.now += 3
    with timer.phase("rollout"):
        clock.now += 4
        with timer.phase("reward"):
            clock.now += 10
        clock.now += 4
        timer.move("rollout", "exploration", 0.25)
        clock.now += 5
    assert timer.finish() == {
        "time/rollout": 11,
        "time/reward": 10,
        "time/exploration": 5,
        "time/other": 0,
        "time/step": 26,
    }


def test_moving_from_a_phase_without_time_has_no_effect() -> None:
    clock = Clock()
    timer = PhaseTimer(clock)
    timer.move("rollout", "exploration", 1.0)
    clock.now += 2
    values = timer.finish()
    assert values["time/step"] == values["time/other"] == 2
    assert values.get("time/exploration", 0) == 0


def test_finish_inside_a_phase_is_an_error() -> None:
    timer = PhaseTimer(Clock())
    with timer.phase("update"), pytest.raises(RuntimeError, match="update"):
        timer.finish()


# Integer seconds and few halvings, so that sums are exact.
EVENTS = st.lists(
    st.tuples(st.sampled_from(["open", "close", "move"]), st.sampled_from("abc"), st.integers(0, 9)),
    max_size=40,
)


@settings(deadline=None)
@given(EVENTS)
def test_phases_of_any_nesting_sum_to_the_step(events: list[tuple[str, str, int]]) -> None:
    clock = Clock()
    timer = PhaseTimer(clock)
    phases = []
    for kind, name, seconds in events:
        if kind == "open":
            phases.append(timer.phase(name))
            phases[-1].__enter__()
        elif kind == "move":
            timer.move(name, "moved", 0.5)
        elif phases:
            phases.pop().__exit__(None, None, None)
        clock.now += seconds
    while phases:
        phases.pop().__exit__(None, None, None)
    values = timer.finish()
    assert values["time/step"] == sum(seconds for *_, seconds in events)
    assert sum(value for name, value in values.items() if name != "time/step") == values["time/step"]
