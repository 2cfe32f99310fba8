"""A rank's life around its run: signals, the process group, and the watch over the other ranks."""

from __future__ import annotations

from datetime import timedelta

from vlm_uec.config import Config
from vlm_uec.errors import Stopped
from vlm_uec.ranks.health import Limits
from vlm_uec.ranks.heartbeat import HeartbeatMonitor
from vlm_uec.ranks.rendezvous import rendezvous
from vlm_uec.ranks.signals import StopRequest, listening
from vlm_uec.run.components import build_components
from vlm_uec.run.loop import execute
from vlm_uec.zero.engine import start_distributed, stop_distributed


def train(config: Config) -> None:
    """Trains as `config` says; every rank calls it. Raises `Stopped` where a signal ended it early."""
    guard, request = config.guard, StopRequest()
    meeting = rendezvous(guard.start_timeout)
    watch = HeartbeatMonitor(meeting, Limits(guard.rank_timeout, guard.stall_timeout), request)
    with watch.guarding():
        # The watch ends a run that waits in vain: collectives themselves must not be less patient.
        start_distributed(meeting, timedelta(seconds=2 * guard.stall_timeout))
        # Before this there is nothing to leave in order: a signal ends the process.
        with listening(request):
            signum = execute(build_components(config, request, watch))
            stop_distributed()
    if signum is not None:
        raise Stopped(signum)
