"""Training on one rank: sets up rendezvous, heartbeats, the process group and signals around the run."""

from __future__ import annotations

from datetime import timedelta

from vlm_uec.config import Config
from vlm_uec.errors import Stopped
from vlm_uec.ranks.health import Limits
from vlm_uec.ranks.heartbeat import HeartbeatMonitor
from vlm_uec.ranks.rendezvous import rendezvous
from vlm_uec.ranks.signals import StopRequest, handle_signals
from vlm_uec.run.components import build_components
from vlm_uec.run.loop import run_training
from vlm_uec.zero.engine import start_distributed, stop_distributed


def train(config: Config) -> None:
    """Trains with `config`; every rank calls it. Raises `Stopped` if a signal ended it early."""
    guard, request = config.guard, StopRequest()
    found = rendezvous(guard.start_timeout)
    monitor = HeartbeatMonitor(found, Limits(guard.rank_timeout, guard.stall_timeout), request)
    with monitor.publish_outcome():
        # The monitor must end a stalled run before the collectives time out, so their timeout is longer.
        start_distributed(found, timedelta(seconds=2 * guard.stall_timeout))
        # Until here there is nothing to save: a signal ends the process.
        with handle_signals(request):
            signum = run_training(build_components(config, request, monitor))
            stop_distributed()
    if signum is not None:
        raise Stopped(signum)
