"""Ranks that watch each other: one that died, hangs or failed is named, and the others end.

A rank that waits in a collective for a dead one waits for ever, or for the library's half hour. So each
tells the others, over a key-value store beside the collectives, that it lives and what it is doing, and looks
at what they tell. Four things end the run:

* a rank's process is gone (seen at once on the same machine),
* a rank has not been heard of for `rank_timeout` seconds (stopped, cut off, or its machine is gone),
* a rank said that it failed,
* nobody got on for `stall_timeout` seconds: alive, but waiting for each other.

Requests to stop travel the same way.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import psutil
import torch
import torch.distributed as dist

from vlm_uec.cli import log_stderr
from vlm_uec.errors import RunEnd, Stopped, out_of_memory_failure
from vlm_uec.escape import escape
from vlm_uec.ranks.health import Heartbeat, Limits, RankHealth, Verdict
from vlm_uec.ranks.rendezvous import Rendezvous
from vlm_uec.ranks.signals import StopRequest

TICK_S = 1.0
STORE_TIMEOUT = timedelta(seconds=10)
STOP = "stop"


class HeartbeatMonitor:
    """This rank's end of the watch. A run of one rank has nobody to watch."""

    def __init__(
        self,
        meeting: Rendezvous,
        limits: Limits,
        request: StopRequest,
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        """`leave` ends this process with an exit code."""
        self._rank, self._ranks = meeting.rank, meeting.ranks
        self._limits, self._request, self._leave = limits, request, leave
        self._period = min(TICK_S, limits.rank_timeout / 4)
        self._sign = Heartbeat(0, 0, "its start", _machine(), os.getpid())
        self._health = RankHealth(self._rank, self._ranks, limits, time.monotonic())
        self._changing, self._news, self._closing = threading.Lock(), threading.Event(), threading.Event()
        self._met: set[int] = set()  # ranks that have given a sign
        self._exchanger = threading.Thread(target=self._exchange_signs, name="signs", daemon=True)
        if self._ranks > 1:
            # A connection of its own: a call of another thread may wait in the other one.
            self._store = dist.PrefixStore("watch", meeting.store.clone())
            self._store.set_timeout(STORE_TIMEOUT)
            self._exchanger.start()
            threading.Thread(target=self._check_health, name="watch", daemon=True).start()

    def doing(self, what: str) -> None:
        """Names what the main thread does from now on."""
        with self._changing:
            self._sign = replace(self._sign, doing=what, moves=self._sign.moves + 1)
        self._news.set()  # a rank that is lost in its first moment there should be told of as there

    def moved(self) -> None:
        """The main thread got on with it."""
        with self._changing:
            self._sign = replace(self._sign, moves=self._sign.moves + 1)

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Tells the others how this rank's work ended, so that none waits for it.

        An error of a collective is another rank's, most likely: the thread has time to find and name it.
        Raises `RunFailed` where memory did not suffice.
        """
        try:
            yield
        except torch.OutOfMemoryError as error:
            failure = out_of_memory_failure(self._rank, error)
            self._close(failure)
            raise failure from error
        except BaseException as error:
            if self._ranks > 1 and _is_of_network(error):
                log_stderr(
                    f"rank {self._rank}: {escape(str(error), 160)}; looking for the rank that caused it"
                )
                time.sleep(self._limits.rank_timeout + 4 * self._period)
            self._close(error)
            raise
        self._close(None)

    def _close(self, error: BaseException | None) -> None:
        sound = error is None or isinstance(error, Stopped)
        ended = "" if sound else escape(f"{_kind(error)}{error}", 300)
        code = error.exit_code if isinstance(error, RunEnd) else 1
        with self._changing:
            self._sign = replace(self._sign, ended=ended, code=code)
        self._closing.set()
        self._news.set()
        if self._exchanger.is_alive():
            self._exchanger.join(STORE_TIMEOUT.total_seconds())

    def _exchange_signs(self) -> None:
        """Apart from `_look`, because a store whose owner is stopped never returns from a call."""
        while True:
            self._news.wait(self._period)
            self._news.clear()
            closing = self._closing.is_set()
            try:
                self._exchange()
            except RuntimeError:
                # The store went with its owner, for good: `_look` will find it gone, or silent too long.
                return
            if closing:
                return

    def _exchange(self) -> None:
        with self._changing:
            self._sign = replace(self._sign, tick=self._sign.tick + 1)
        self._store.set(_key(self._rank), json.dumps(asdict(self._sign)))
        if self._request.signum is not None:
            self._store.set(STOP, str(self._request.signum))
        elif self._store.check([STOP]):
            self._request.hear(int(self._store.get(STOP)))
        there = [
            number
            for number in range(self._ranks)
            if number in self._met or self._store.check([_key(number)])
        ]
        self._met.update(there)
        signs = self._store.multi_get([_key(number) for number in there])
        for number, sign in zip(there, signs, strict=True):
            self._health.hear(number, Heartbeat(**json.loads(sign)), time.monotonic())

    def _check_health(self) -> None:
        before: Verdict | None = None
        slept_from = time.monotonic()
        while not self._closing.wait(self._period):
            now = time.monotonic()
            if now - slept_from > self._period + self._limits.rank_timeout / 2:
                self._health.woke(now)
            verdict = self._health.verdict(now, _is_alive)
            # Twice: a rank that failed of what all are told of is not the reason why this one ends.
            if verdict and before:
                self._end(verdict)
            before, slept_from = verdict, time.monotonic()

    def _end(self, verdict: Verdict) -> None:
        told = f"error: rank {self._rank} ends in {self._sign.doing}: {verdict.message}"
        log_stderr(f"{told}; resume=auto goes on from the last checkpoint")
        self._leave(verdict.exit_code)


def _key(number: int) -> str:
    return f"sign/{number}"


def _is_of_network(error: BaseException) -> bool:
    return isinstance(error, dist.DistError) or any(word in str(error) for word in ("gloo", "NCCL"))


def _kind(error: BaseException | None) -> str:
    return "" if isinstance(error, RunEnd) else f"{type(error).__name__}: "


@cache
def _machine() -> str:
    """What has process numbers of its own: two containers may share a host's name, but not these."""
    told = [socket.gethostname()]
    for path in (Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")):
        with suppress(OSError):
            told.append(
                str(path.readlink()) if path.is_symlink() else path.read_text(encoding="utf-8").strip()
            )
    return " ".join(told)


def _is_alive(sign: Heartbeat) -> bool:
    """False only where a process of this machine has ended; of others nothing is known."""
    if sign.host != _machine():
        return True
    try:
        return psutil.Process(sign.pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False
