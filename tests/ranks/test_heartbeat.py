"""A rank's watch over a real store; the other rank is this test, which writes that rank's signs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import torch
import torch.distributed as dist

from vlm_uec.errors import RunFailed, UserError
from vlm_uec.ranks.health import Heartbeat, Limits
from vlm_uec.ranks.heartbeat import HeartbeatMonitor, _machine
from vlm_uec.ranks.rendezvous import Rendezvous
from vlm_uec.ranks.signals import StopRequest

SOON_S = 8.0


class Scene:
    """Rank 0 with its watch, and rank 1 as the store has it."""

    def __init__(self) -> None:
        store = dist.TCPStore("127.0.0.1", 0, 2, True, timedelta(seconds=10), wait_for_workers=False)
        self.signs = dist.PrefixStore("watch", store)
        self.codes: list[int] = []
        self.request = StopRequest()
        limits = Limits(rank_timeout=2, stall_timeout=100)
        self.watch = HeartbeatMonitor(Rendezvous(store, 0, 2), limits, self.request, self.codes.append)

    def other(self, **sign: Any) -> None:
        known = {"tick": 0, "moves": 0, "doing": "step 3: rollout", "host": _machine(), "pid": os.getpid()}
        self.signs.set("sign/1", json.dumps({**known, **sign}))

    def comes(self, condition: Callable[[], object]) -> bool:
        deadline = time.monotonic() + SOON_S
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def own(self) -> Heartbeat:
        return Heartbeat(**json.loads(self.signs.get("sign/0")))


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.watch._close(None)


def test_a_phase_is_told_as_it_begins(scene: Scene) -> None:
    """Not a second later: a rank that dies at once there would be told of as elsewhere."""
    scene.watch.doing("step 1: rollout")
    assert scene.comes(lambda: scene.signs.check(["sign/0"]) and scene.own().doing == "step 1: rollout")


def test_another_ranks_request_to_stop_is_heard(scene: Scene) -> None:
    scene.other()
    scene.signs.set("stop", "15")
    assert scene.comes(lambda: scene.request.signum == 15)


def test_ones_own_request_is_told(scene: Scene) -> None:
    scene.request.hear(2)
    assert scene.comes(lambda: scene.signs.check(["stop"]))
    assert scene.signs.get("stop") == b"2"


def test_a_dead_process_ends_this_rank_with_a_line(scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    scene.watch.doing("step 3: update")
    scene.other(pid=ended.pid)
    assert scene.comes(lambda: scene.codes)
    told = capfd.readouterr().err
    assert told.startswith(
        "error: rank 0 ends in step 3: update: rank 1 is gone (killed, or out of memory?); "
    )
    assert scene.codes[0] == 1


def test_a_dead_process_of_another_machine_is_only_silent(
    scene: Scene, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its number may be anybody's here."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    scene.other(pid=ended.pid, host="elsewhere")
    assert scene.comes(lambda: scene.codes)
    assert "rank 1 has not been heard of for 2 s" in capfd.readouterr().err


def test_a_reader_who_left_does_not_keep_a_rank_from_ending(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind `| tee`, when tee is gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as broken:
        monkeypatch.setattr(sys, "__stderr__", broken)
        scene.other(ended="a fault", code=1)
        assert scene.comes(lambda: scene.codes)
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)  # what it still holds goes nowhere


@pytest.mark.parametrize(
    ("error", "ended", "code"),
    [
        (UserError("no room"), "no room", 2),
        (RunFailed("too little memory"), "too little memory", 1),
        (ValueError("a fault"), "ValueError: a fault", 1),
    ],
)
def test_how_this_rank_ended_is_told(scene: Scene, error: Exception, ended: str, code: int) -> None:
    with pytest.raises(type(error)), scene.watch.guarding():
        raise error
    assert (scene.own().ended, scene.own().code) == (ended, code)


def test_too_little_memory_ends_with_the_way_out(scene: Scene) -> None:
    """Outside of what ranks agree on: a load, an optimizer's step."""
    with (
        pytest.raises(
            RunFailed, match=r"^rank 0 is out of memory \(CUDA out of memory\): lower rollout\.slots"
        ),
        scene.watch.guarding(),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")
    assert (scene.own().ended or "").startswith("rank 0 is out of memory")
    assert scene.own().code == 1


def test_an_error_of_a_collective_waits_for_word_of_the_rank_that_caused_it(scene: Scene) -> None:
    """Else the others would blame this rank, which only suffered from it."""
    scene.other(ended="a fault", code=1)

    def suffers() -> None:
        with pytest.raises(RuntimeError), scene.watch.guarding():
            raise RuntimeError("[gloo/transport/tcp/pair.cc] Connection closed by peer")

    threading.Thread(target=suffers, daemon=True).start()
    assert scene.comes(lambda: scene.codes)
    assert scene.own().ended is None
