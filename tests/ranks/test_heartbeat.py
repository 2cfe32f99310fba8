"""A rank's heartbeat monitor over a real store; the test writes the other rank's heartbeats."""

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

from vlm_uec.cli import configure_logging
from vlm_uec.errors import RunFailed, UserError
from vlm_uec.ranks.health import Heartbeat, Limits
from vlm_uec.ranks.heartbeat import HeartbeatMonitor, _machine
from vlm_uec.ranks.rendezvous import Rendezvous
from vlm_uec.ranks.signals import StopRequest

SOON_S = 8.0


class Scene:
    """Rank 0 with its monitor, and rank 1 as the store shows it."""

    def __init__(self) -> None:
        store = dist.TCPStore("127.0.0.1", 0, 2, True, timedelta(seconds=10), wait_for_workers=False)
        self.heartbeats = dist.PrefixStore("heartbeat", store)
        self.codes: list[int] = []
        self.request = StopRequest()
        configure_logging()
        limits = Limits(rank_timeout=2, stall_timeout=100)
        self.monitor = HeartbeatMonitor(Rendezvous(store, 0, 2), limits, self.request, self.codes.append)

    def other(self, **changed: Any) -> None:
        default = {
            "beat": 0,
            "progress": 0,
            "phase": "step 3: rollout",
            "host": _machine(),
            "pid": os.getpid(),
        }
        self.heartbeats.set("rank/1", json.dumps({**default, **changed}))

    def becomes_true(self, condition: Callable[[], object]) -> bool:
        deadline = time.monotonic() + SOON_S
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def own(self) -> Heartbeat:
        return Heartbeat(**json.loads(self.heartbeats.get("rank/0")))


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.monitor._close(None)


def test_a_phase_is_published_when_it_begins(scene: Scene) -> None:
    """Not a period later: a rank that dies at once would be reported in its earlier phase."""
    scene.monitor.start_phase("step 1: rollout")
    assert scene.becomes_true(
        lambda: scene.heartbeats.check(["rank/0"]) and scene.own().phase == "step 1: rollout"
    )


def test_another_ranks_request_to_stop_is_received(scene: Scene) -> None:
    scene.other()
    scene.heartbeats.set("stop", "15")
    assert scene.becomes_true(lambda: scene.request.signum == 15)


def test_this_ranks_request_is_published(scene: Scene) -> None:
    scene.request.receive(2)
    assert scene.becomes_true(lambda: scene.heartbeats.check(["stop"]))
    assert scene.heartbeats.get("stop") == b"2"


def test_a_dead_process_ends_this_rank_with_a_line(scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    scene.monitor.start_phase("step 3: update")
    scene.other(pid=ended.pid)
    assert scene.becomes_true(lambda: scene.codes)
    printed = capfd.readouterr().err
    assert printed.startswith(
        "error: rank 0 ends in step 3: update: rank 1 died (killed, or out of memory?) in step 3: rollout; "
    )
    assert scene.codes[0] == 1


def test_a_dead_process_of_another_machine_is_only_silent(
    scene: Scene, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its process id may belong to another process here."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    scene.other(pid=ended.pid, host="elsewhere")
    assert scene.becomes_true(lambda: scene.codes)
    assert "no heartbeat from rank 1 for 2 s" in capfd.readouterr().err


def test_a_closed_stderr_does_not_keep_a_rank_from_ending(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind `| tee`, when tee is gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as broken:
        monkeypatch.setattr(sys, "__stderr__", broken)
        scene.other(error="a fault", exit_code=1)
        assert scene.becomes_true(lambda: scene.codes)
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)  # discards its buffer


@pytest.mark.parametrize(
    ("error", "ended", "code"),
    [
        (UserError("no room"), "no room", 2),
        (RunFailed("too little memory"), "too little memory", 1),
        (ValueError("a fault"), "ValueError: a fault", 1),
    ],
)
def test_the_outcome_of_this_rank_is_published(scene: Scene, error: Exception, ended: str, code: int) -> None:
    with pytest.raises(type(error)), scene.monitor.publish_outcome():
        raise error
    assert (scene.own().error, scene.own().exit_code) == (ended, code)


def test_out_of_memory_names_the_settings_to_lower(scene: Scene) -> None:
    """Outside of a collective call: in a load or an optimizer step."""
    with (
        pytest.raises(
            RunFailed, match=r"^rank 0 is out of memory \(CUDA out of memory\): lower rollout\.slots"
        ),
        scene.monitor.publish_outcome(),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")
    assert (scene.own().error or "").startswith("rank 0 is out of memory")
    assert scene.own().exit_code == 1


def test_an_error_of_a_collective_waits_for_the_rank_that_caused_it(scene: Scene) -> None:
    """Otherwise the other ranks would report this one, which is only affected."""
    scene.other(error="a fault", exit_code=1)

    def fail() -> None:
        with pytest.raises(RuntimeError), scene.monitor.publish_outcome():
            raise RuntimeError("[gloo/transport/tcp/pair.cc] Connection closed by peer")

    threading.Thread(target=fail, daemon=True).start()
    assert scene.becomes_true(lambda: scene.codes)
    assert scene.own().error is None
