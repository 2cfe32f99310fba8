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

TIMEOUT_S = 8.0


class MonitorScenario:
    """Rank 0 with its monitor; the test writes the heartbeats of rank 1 to the store."""

    def __init__(self) -> None:
        store = dist.TCPStore("127.0.0.1", 0, 2, True, timedelta(seconds=10), wait_for_workers=False)
        self.heartbeats = dist.PrefixStore("heartbeat", store)
        self.codes: list[int] = []
        self.request = StopRequest()
        configure_logging()
        limits = Limits(rank_timeout=2, stall_timeout=100)
        self.monitor = HeartbeatMonitor(Rendezvous(store, 0, 2), limits, self.request, self.codes.append)

    def publish_other(self, **changed: Any) -> None:
        """Writes a heartbeat of rank 1."""
        default = {
            "beat": 0,
            "progress": 0,
            "phase": "step 3: rollout",
            "host": _machine(),
            "pid": os.getpid(),
        }
        self.heartbeats.set("rank/1", json.dumps({**default, **changed}))

    def wait_until(self, condition: Callable[[], object]) -> bool:
        deadline = time.monotonic() + TIMEOUT_S
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def own_heartbeat(self) -> Heartbeat:
        return Heartbeat(**json.loads(self.heartbeats.get("rank/0")))


@pytest.fixture
def scenario() -> Iterator[MonitorScenario]:
    made = MonitorScenario()
    yield made
    made.monitor._publish_end(None)


def test_a_phase_is_published_when_it_begins(scenario: MonitorScenario) -> None:
    """Not only with the next heartbeat: a rank that dies at once would be reported in its earlier phase."""
    scenario.monitor.start_phase("step 1: rollout")
    assert scenario.wait_until(
        lambda: scenario.heartbeats.check(["rank/0"]) and scenario.own_heartbeat().phase == "step 1: rollout"
    )


def test_another_ranks_request_to_stop_is_received(scenario: MonitorScenario) -> None:
    scenario.publish_other()
    scenario.heartbeats.set("stop", "15")
    assert scenario.wait_until(lambda: scenario.request.signum == 15)


def test_this_ranks_request_is_published(scenario: MonitorScenario) -> None:
    scenario.request.receive(2)
    assert scenario.wait_until(lambda: scenario.heartbeats.check(["stop"]))
    assert scenario.heartbeats.get("stop") == b"2"


def test_a_dead_process_ends_this_rank_with_a_line(
    scenario: MonitorScenario, capfd: pytest.CaptureFixture[str]
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    scenario.monitor.start_phase("step 3: update")
    scenario.publish_other(pid=ended.pid)
    assert scenario.wait_until(lambda: scenario.codes)
    printed = capfd.readouterr().err
    assert printed.startswith(
        "error: rank 0 ends in step 3: update: rank 1 died (killed, or out of memory?) in step 3: rollout; "
    )
    assert scenario.codes[0] == 1


def test_a_dead_process_on_another_machine_is_reported_as_silent(
    scenario: MonitorScenario, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its process id may belong to another process on this machine."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    scenario.publish_other(pid=ended.pid, host="elsewhere")
    assert scenario.wait_until(lambda: scenario.codes)
    assert "no heartbeat from rank 1 for 2 s" in capfd.readouterr().err


def test_a_closed_stderr_does_not_keep_a_rank_from_ending(
    scenario: MonitorScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `train.py | tee` after tee has ended."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as broken:
        monkeypatch.setattr(sys, "__stderr__", broken)
        scenario.publish_other(error="a fault", exit_code=1)
        assert scenario.wait_until(lambda: scenario.codes)
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
def test_the_outcome_of_this_rank_is_published(
    scenario: MonitorScenario, error: Exception, ended: str, code: int
) -> None:
    with pytest.raises(type(error)), scenario.monitor.publish_outcome():
        raise error
    assert (scenario.own_heartbeat().error, scenario.own_heartbeat().exit_code) == (ended, code)


def test_out_of_memory_names_the_settings_to_lower(scenario: MonitorScenario) -> None:
    """Outside of a collective call, as in a load or an optimizer step."""
    with (
        pytest.raises(
            RunFailed, match=r"^rank 0 is out of memory \(CUDA out of memory\): lower rollout\.slots"
        ),
        scenario.monitor.publish_outcome(),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")
    assert (scenario.own_heartbeat().error or "").startswith("rank 0 is out of memory")
    assert scenario.own_heartbeat().exit_code == 1


def test_an_error_in_a_collective_waits_for_the_rank_that_caused_it(scenario: MonitorScenario) -> None:
    """Otherwise the other ranks would report this one, which is only affected."""
    scenario.publish_other(error="a fault", exit_code=1)

    def fail() -> None:
        with pytest.raises(RuntimeError), scenario.monitor.publish_outcome():
            raise RuntimeError("[gloo/transport/tcp/pair.cc] Connection closed by peer")

    threading.Thread(target=fail, daemon=True).start()
    assert scenario.wait_until(lambda: scenario.codes)
    assert scenario.own_heartbeat().error is None
