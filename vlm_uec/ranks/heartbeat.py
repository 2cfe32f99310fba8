"""Heartbeats between ranks: a rank that died, hangs or failed is named, and the other ranks end.

A rank that waits in a collective for a dead one waits for ever, or for the library's timeout of half an hour.
So each rank publishes a heartbeat with its phase, over a key-value store beside the collectives, and reads
the others'. Four conditions end the run:

* a rank's process has died (noticed at once on the same machine),
* a rank sent no heartbeat for `rank_timeout` seconds (stopped, cut off, or its machine failed),
* a rank published an error,
* no rank made progress for `stall_timeout` seconds: all alive, but deadlocked.

Requests to stop travel the same way.
"""

from __future__ import annotations

import json
import logging
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

from vlm_uec.errors import RunEnd, Stopped, out_of_memory_failure
from vlm_uec.escape import escape
from vlm_uec.ranks.health import STARTING, Heartbeat, Limits, RankFailure, RankHealth
from vlm_uec.ranks.rendezvous import Rendezvous
from vlm_uec.ranks.signals import StopRequest

PERIOD_S = 1.0
STORE_TIMEOUT = timedelta(seconds=10)
STOP = "stop"

log = logging.getLogger(__name__)


class HeartbeatMonitor:
    """Publishes this rank's heartbeat and checks the others'. A run of one rank starts no threads."""

    def __init__(
        self,
        rendezvous: Rendezvous,
        limits: Limits,
        request: StopRequest,
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        """`leave` ends this process with an exit code."""
        self._rank, self._ranks = rendezvous.rank, rendezvous.ranks
        self._limits, self._request, self._leave = limits, request, leave
        self._period = min(PERIOD_S, limits.rank_timeout / 4)
        self._own = Heartbeat(0, 0, STARTING, _machine(), os.getpid())
        self._health = RankHealth(self._rank, self._ranks, limits, time.monotonic())
        self._lock, self._changed, self._closing = threading.Lock(), threading.Event(), threading.Event()
        self._started: set[int] = set()  # ranks that have published a heartbeat
        self._exchanger = threading.Thread(target=self._exchange_heartbeats, name="heartbeat", daemon=True)
        if self._ranks > 1:
            # A second connection: the first may be blocked by a call of another thread.
            self._store = dist.PrefixStore("heartbeat", rendezvous.store.clone())
            self._store.set_timeout(STORE_TIMEOUT)
            self._exchanger.start()
            threading.Thread(target=self._check_health, name="health", daemon=True).start()

    def start_phase(self, phase: str) -> None:
        """Publishes the phase that the main thread enters."""
        with self._lock:
            self._own = replace(self._own, phase=phase, progress=self._own.progress + 1)
        self._changed.set()  # a rank that dies right away must be reported in this phase, not the last one

    def record_progress(self) -> None:
        """Counts progress of the main thread within its phase."""
        with self._lock:
            self._own = replace(self._own, progress=self._own.progress + 1)

    @contextmanager
    def publish_outcome(self) -> Iterator[None]:
        """Publishes how the block ended, so that no other rank waits for this one.

        The error of a collective was most likely caused by another rank: the monitor gets time to find and
        name that rank. Raises `RunFailed` where memory did not suffice.
        """
        try:
            yield
        except torch.OutOfMemoryError as error:
            failure = out_of_memory_failure(self._rank, error)
            self._publish_end(failure)
            raise failure from error
        except BaseException as error:
            if self._ranks > 1 and _is_network_error(error):
                reason = escape(str(error), 160)
                log.warning("rank %d: %s; looking for the rank that caused it", self._rank, reason)
                time.sleep(self._limits.rank_timeout + 4 * self._period)
            self._publish_end(error)
            raise
        self._publish_end(None)

    def _publish_end(self, error: BaseException | None) -> None:
        success = error is None or isinstance(error, Stopped)
        message = "" if success else escape(f"{_type_prefix(error)}{error}", 300)
        exit_code = error.exit_code if isinstance(error, RunEnd) else 1
        with self._lock:
            self._own = replace(self._own, error=message, exit_code=exit_code)
        self._closing.set()
        self._changed.set()
        if self._exchanger.is_alive():
            self._exchanger.join(STORE_TIMEOUT.total_seconds())

    def _exchange_heartbeats(self) -> None:
        """A thread apart from `_check_health`: calls to a store whose host is suspended never return."""
        while True:
            self._changed.wait(self._period)
            self._changed.clear()
            closing = self._closing.is_set()
            try:
                self._exchange()
            except RuntimeError:
                # The store is lost with its host. `_check_health` will report the host, dead or silent.
                return
            if closing:
                return

    def _exchange(self) -> None:
        with self._lock:
            self._own = replace(self._own, beat=self._own.beat + 1)
        self._store.set(_key(self._rank), json.dumps(asdict(self._own)))
        if self._request.signum is not None:
            self._store.set(STOP, str(self._request.signum))
        elif self._store.check([STOP]):
            self._request.receive(int(self._store.get(STOP)))
        started = [
            number
            for number in range(self._ranks)
            if number in self._started or self._store.check([_key(number)])
        ]
        self._started.update(started)
        heartbeats = self._store.multi_get([_key(number) for number in started])
        for number, heartbeat in zip(started, heartbeats, strict=True):
            self._health.record(number, Heartbeat(**json.loads(heartbeat)), time.monotonic())

    def _check_health(self) -> None:
        before: RankFailure | None = None
        checked_at = time.monotonic()
        while not self._closing.wait(self._period):
            now = time.monotonic()
            if now - checked_at > self._period + self._limits.rank_timeout / 2:
                self._health.reset_clocks(now)
            failure = self._health.find_failure(now, _is_alive)
            # Only the second time: if this rank fails of the same cause, its own error must be printed.
            if failure and before:
                self._end(failure)
            before, checked_at = failure, time.monotonic()

    def _end(self, failure: RankFailure) -> None:
        log.error(
            "rank %d ends in %s: %s; resume=auto continues from the last checkpoint",
            self._rank,
            self._own.phase,
            failure.message,
        )
        self._leave(failure.exit_code)


def _key(number: int) -> str:
    return f"rank/{number}"


def _is_network_error(error: BaseException) -> bool:
    return isinstance(error, dist.DistError) or any(word in str(error) for word in ("gloo", "NCCL"))


def _type_prefix(error: BaseException | None) -> str:
    return "" if isinstance(error, RunEnd) else f"{type(error).__name__}: "


@cache
def _machine() -> str:
    """Identifies a space of process ids: containers may share a host name, but not boot id and namespace."""
    parts = [socket.gethostname()]
    for path in (Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")):
        with suppress(OSError):
            parts.append(
                str(path.readlink()) if path.is_symlink() else path.read_text(encoding="utf-8").strip()
            )
    return " ".join(parts)


def _is_alive(heartbeat: Heartbeat) -> bool:
    """False only where a process of this machine has ended; True for processes of other machines."""
    if heartbeat.host != _machine():
        return True
    try:
        return psutil.Process(heartbeat.pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False
