"""What a rank concludes from the signs of the others, second by second."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vlm_uec.ranks.health import Heartbeat, Limits, RankHealth

LIMITS = Limits(rank_timeout=10, stall_timeout=100)
SIGN = Heartbeat(tick=0, moves=0, doing="step 3: rollout", host="here", pid=1)


def _everybody(sign: Heartbeat) -> bool:
    return True


class Scene:
    """Rank 0 of three watches; every second all that are not silent give a sign."""

    def __init__(self) -> None:
        self.watchman = RankHealth(0, 3, LIMITS, now=0)
        self.now = 0.0
        self.signs = {number: replace(SIGN, pid=number) for number in range(3)}

    def passes(self, seconds: int, *, silent: tuple[int, ...] = (), moving: bool = True) -> None:
        for _ in range(seconds):
            self.now += 1
            for number, sign in self.signs.items():
                if number not in silent:
                    moves = sign.moves + moving
                    self.signs[number] = replace(sign, tick=sign.tick + 1, moves=moves)
                    self.watchman.hear(number, self.signs[number], self.now)

    def told(self, alive: set[int] | None = None) -> str:
        verdict = self.watchman.verdict(self.now, lambda sign: alive is None or sign.pid in alive)
        return "" if verdict is None else f"{verdict.exit_code} {verdict.message}"


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_sound_run_is_left_alone(scene: Scene) -> None:
    scene.passes(1000)
    assert scene.told() == ""


def test_a_silent_rank_is_named_with_its_phase(scene: Scene) -> None:
    scene.passes(5)
    scene.passes(10, silent=(2,))
    assert scene.told() == ""
    scene.passes(1, silent=(2,))
    assert scene.told() == (
        "1 rank 2 has not been heard of for 10 s (guard.rank_timeout); it was in step 3: rollout"
    )


def test_of_several_silent_ranks_the_keeper_of_the_store_is_named() -> None:
    watchman = RankHealth(1, 3, LIMITS, now=0)
    for number in range(3):
        watchman.hear(number, SIGN, 1)
    verdict = watchman.verdict(12, _everybody)
    assert verdict is not None and verdict.message.startswith("rank 0 has not been heard of")


def test_a_rank_never_heard_of_was_in_its_start(scene: Scene) -> None:
    scene.passes(11, silent=(1,))
    assert scene.told().endswith("it was in its start")


def test_a_dead_process_is_named_at_once(scene: Scene) -> None:
    scene.passes(3)
    assert scene.told(alive={0, 2}).startswith("1 rank 1 is gone")


def test_a_rank_that_failed_is_named_with_its_reason_and_code(scene: Scene) -> None:
    scene.passes(3)
    scene.signs[2] = replace(scene.signs[2], ended="the disk is full", code=2)
    scene.passes(1)
    assert scene.told(alive={0, 1}) == "2 rank 2 failed in step 3: rollout: the disk is full"


def test_a_rank_that_ended_well_may_be_gone_and_silent(scene: Scene) -> None:
    scene.passes(3)
    scene.signs[1] = replace(scene.signs[1], ended="")
    scene.passes(1)
    scene.passes(50, silent=(1,))
    assert scene.told(alive={0, 2}) == ""


def test_ranks_that_live_and_do_not_get_on_are_all_named(scene: Scene) -> None:
    scene.passes(1)
    scene.passes(100, moving=False)
    assert scene.told() == ""
    scene.passes(1, moving=False)
    assert scene.told() == (
        "1 no rank got on for 100 s (guard.stall_timeout): rank 0 in step 3: rollout, "
        "rank 1 in step 3: rollout, rank 2 in step 3: rollout"
    )


def test_a_rank_that_slept_blames_nobody(scene: Scene) -> None:
    """A job that was suspended as a whole: the first one awake must not end it."""
    scene.passes(1)
    scene.now += 500
    scene.watchman.woke(scene.now)
    assert scene.told() == ""
    scene.passes(11, silent=(2,))
    assert scene.told().startswith("1 rank 2 has not been heard of")
