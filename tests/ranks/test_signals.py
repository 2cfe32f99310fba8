"""Signals: the first requests a stop, repeats count as the same, a later one ends the process."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.support.fakes import run_on_ranks
from vlm_uec.errors import Stopped
from vlm_uec.ranks import signals
from vlm_uec.ranks.signals import StopRequest, handle_signals


class Process:
    """A rank with a controlled clock; records its exit codes."""

    def __init__(self) -> None:
        self.now, self.codes = 100.0, list[int]()
        self.request = StopRequest(lambda: self.now, self.codes.append)

    def receive_signal(self, signum: int, after: float = 0) -> list[int]:
        self.now += after
        self.request.on_signal(signum)
        return self.codes


def test_the_first_signal_requests_a_stop() -> None:
    process = Process()
    process.request.check()
    assert process.receive_signal(signal.SIGTERM) == []
    with pytest.raises(Stopped) as stop:
        process.request.check()
    assert stop.value.exit_code == 143


def test_repeats_within_five_seconds_are_the_same_signal() -> None:
    process = Process()
    process.receive_signal(signal.SIGINT)
    assert process.receive_signal(signal.SIGTERM, after=4.9) == []
    assert process.request.signum == signal.SIGINT


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_later_signal_ends_the_process_at_once(signum: int, code: int) -> None:
    process = Process()
    process.receive_signal(signal.SIGTERM)
    assert process.receive_signal(signum, after=5.1) == [code]


def test_a_received_request_does_not_count_as_the_first_signal() -> None:
    """A scheduler may signal machine after machine: this rank's first signal is not a repeat."""
    process = Process()
    process.request.receive(signal.SIGTERM)
    assert process.receive_signal(signal.SIGTERM, after=30) == []
    assert process.receive_signal(signal.SIGTERM, after=1) == []
    assert process.receive_signal(signal.SIGTERM, after=30) == [143]


def test_all_ranks_stop_if_one_has_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(rank: int) -> int:
        request = StopRequest()
        if rank == 1:
            request.receive(signal.SIGINT)
        try:
            request.check_all_ranks()
        except Stopped as stop:
            return stop.exit_code
        return 0

    assert run_on_ranks(monkeypatch, 3, work, signals) == [130, 130, 130]


def test_no_rank_stops_without_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(rank: int) -> None:
        StopRequest().check_all_ranks()

    assert run_on_ranks(monkeypatch, 2, work, signals) == [None, None]


def test_handlers_are_restored_without_a_signal() -> None:
    before = [signal.getsignal(number) for number in signals.SIGNALS]
    with handle_signals(StopRequest()):
        assert [signal.getsignal(number) for number in signals.SIGNALS] != before
    assert [signal.getsignal(number) for number in signals.SIGNALS] == before
    assert not [thread for thread in threading.enumerate() if thread.name == "signals"]


ENDING = """
import atexit, sys, time
from vlm_uec.ranks.signals import StopRequest, handle_signals

request = StopRequest()
with handle_signals(request):
    print("ready", flush=True)
    while request.signum is None:
        time.sleep(0.01)
print("ending", flush=True)
atexit.register(time.sleep, 0.5)
sys.exit(128 + request.signum)
"""


@pytest.mark.parametrize("signum", signals.SIGNALS)
def test_a_repeat_while_the_interpreter_exits_keeps_the_exit_code(signum: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", ENDING], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in ("ready", "ending"):
        assert process.stdout.readline().strip() == line
        process.send_signal(signum)
    assert process.wait(timeout=30) == 128 + signum


BLOCKED = """
import ctypes, sys
from vlm_uec.ranks.signals import StopRequest, handle_signals
import vlm_uec.ranks.signals
vlm_uec.ranks.signals.REPEAT_S = 0.5
with handle_signals(StopRequest()):
    print("ready", flush=True)
    # A wait in C, like a collective's: it continues after a signal, and no Python handler runs.
    libc = ctypes.CDLL(None)
    while True:
        libc.sleep(100)
        for _ in range(20):
            libc.usleep(500_000)
"""


def test_a_second_signal_ends_a_rank_whose_main_thread_waits_in_a_library() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", BLOCKED], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    time.sleep(0.8)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 143
