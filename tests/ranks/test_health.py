"""Failures that a rank finds in the heartbeats of the other ranks, with a simulated clock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vlm_uec.ranks.health import Heartbeat, Limits, RankHealth

LIMITS = Limits(rank_timeout=10, stall_timeout=100)
HEARTBEAT = Heartbeat(beat=0, progress=0, phase="step 3: rollout", host="here", pid=1)


def _all_alive(heartbeat: Heartbeat) -> bool:
    return True


class HealthScenario:
    """Rank 0 of three; every second each rank that is not silent sends a heartbeat."""

    def __init__(self) -> None:
        self.health = RankHealth(0, 3, LIMITS, now=0)
        self.now = 0.0
        self.heartbeats = {number: replace(HEARTBEAT, pid=number) for number in range(3)}

    def advance(self, seconds: int, *, silent: tuple[int, ...] = (), progressing: bool = True) -> None:
        for _ in range(seconds):
            self.now += 1
            for number, heartbeat in self.heartbeats.items():
                if number not in silent:
                    progress = heartbeat.progress + progressing
                    self.heartbeats[number] = replace(heartbeat, beat=heartbeat.beat + 1, progress=progress)
                    self.health.record(number, self.heartbeats[number], self.now)

    def failure(self, alive: set[int] | None = None) -> str:
        found = self.health.find_failure(self.now, lambda heartbeat: alive is None or heartbeat.pid in alive)
        return "" if found is None else f"{found.exit_code} {found.message}"


@pytest.fixture
def scenario() -> HealthScenario:
    return HealthScenario()


def test_a_healthy_run_continues(scenario: HealthScenario) -> None:
    scenario.advance(1000)
    assert scenario.failure() == ""


def test_a_silent_rank_is_named_with_its_phase(scenario: HealthScenario) -> None:
    scenario.advance(5)
    scenario.advance(10, silent=(2,))
    assert scenario.failure() == ""
    scenario.advance(1, silent=(2,))
    assert scenario.failure() == (
        "1 no heartbeat from rank 2 for 10 s (guard.rank_timeout); its last phase was step 3: rollout"
    )


def test_of_several_silent_ranks_the_host_of_the_store_is_named() -> None:
    health = RankHealth(1, 3, LIMITS, now=0)
    for number in range(3):
        health.record(number, HEARTBEAT, 1)
    failure = health.find_failure(12, _all_alive)
    assert failure is not None and failure.message.startswith("no heartbeat from rank 0")


def test_a_rank_without_any_heartbeat_is_reported_in_start_up(scenario: HealthScenario) -> None:
    scenario.advance(11, silent=(1,))
    assert scenario.failure().endswith("its last phase was start-up")


def test_a_dead_process_is_named_at_once(scenario: HealthScenario) -> None:
    scenario.advance(3)
    assert scenario.failure(alive={0, 2}).startswith(
        "1 rank 1 died (killed, or out of memory?) in step 3: rollout"
    )


def test_a_failed_rank_is_named_with_its_error_and_exit_code(scenario: HealthScenario) -> None:
    scenario.advance(3)
    scenario.heartbeats[2] = replace(scenario.heartbeats[2], error="the disk is full", exit_code=2)
    scenario.advance(1)
    assert scenario.failure(alive={0, 1}) == "2 rank 2 failed in step 3: rollout: the disk is full"


def test_a_rank_that_succeeded_may_be_dead_or_silent(scenario: HealthScenario) -> None:
    scenario.advance(3)
    scenario.heartbeats[1] = replace(scenario.heartbeats[1], error="")
    scenario.advance(1)
    scenario.advance(50, silent=(1,))
    assert scenario.failure(alive={0, 2}) == ""


def test_ranks_without_progress_are_all_named(scenario: HealthScenario) -> None:
    scenario.advance(1)
    scenario.advance(100, progressing=False)
    assert scenario.failure() == ""
    scenario.advance(1, progressing=False)
    assert scenario.failure() == (
        "1 no rank made progress for 100 s (guard.stall_timeout): rank 0 in step 3: rollout, "
        "rank 1 in step 3: rollout, rank 2 in step 3: rollout"
    )


def test_a_suspended_rank_reports_no_failure(scenario: HealthScenario) -> None:
    """After a suspended job resumes, the first rank to run must not end it."""
    scenario.advance(1)
    scenario.now += 500
    scenario.health.reset_clocks(scenario.now)
    assert scenario.failure() == ""
    scenario.advance(11, silent=(2,))
    assert scenario.failure().startswith("1 no heartbeat from rank 2")
