"""Rules by which a rank finds another rank's failure in heartbeats; pure, without threads or a clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

STARTING = "start-up"  # the phase before a rank names its first


@dataclass(frozen=True)
class Limits:
    """Timeouts in seconds: without a heartbeat from one rank, and without progress on all ranks."""

    rank_timeout: float
    stall_timeout: float


@dataclass(frozen=True)
class Heartbeat:
    """What a rank publishes about itself."""

    beat: int  # counts the monitor thread's heartbeats: the process runs
    progress: int  # counts the main thread's progress
    phase: str  # "step 3: rollout"
    host: str
    pid: int
    error: str | None = None  # None while the rank works; "" after success, else the error that ended it
    exit_code: int = 1  # where `error` is not empty


@dataclass(frozen=True)
class RankFailure:
    """Why this rank must end, and with which exit code."""

    message: str
    exit_code: int = 1


class RankHealth:
    """The heartbeats of all ranks and the failures that follow from them."""

    def __init__(self, own: int, ranks: int, limits: Limits, now: float) -> None:
        """`own`: this rank; `now`: seconds of any monotonic clock."""
        self.own, self.limits = own, limits
        self._latest: dict[int, Heartbeat] = {}
        self._received_at = dict.fromkeys((other for other in range(ranks) if other != own), now)
        self._progress_at = now

    def record(self, number: int, heartbeat: Heartbeat, now: float) -> None:
        """Records a rank's latest heartbeat; this rank's own counts as progress too."""
        before = self._latest.get(number)
        if before is None or (before.progress, before.phase) != (heartbeat.progress, heartbeat.phase):
            self._progress_at = now
        if number != self.own and heartbeat != before:
            self._received_at[number] = now
        self._latest[number] = heartbeat

    def reset_clocks(self, now: float) -> None:
        """Restarts all timeouts after this process was suspended and could not receive heartbeats."""
        self._received_at = dict.fromkeys(self._received_at, now)
        self._progress_at = now

    def find_failure(self, now: float, alive: Callable[[Heartbeat], bool]) -> RankFailure | None:
        """The failure that must end this rank, or None.

        `alive`: whether a heartbeat's process exists; True where this machine cannot tell.
        """
        others = {number: self._latest[number] for number in self._received_at if number in self._latest}
        for number, heartbeat in others.items():
            if heartbeat.error:
                message = f"rank {number} failed in {heartbeat.phase}: {heartbeat.error}"
                return RankFailure(message, heartbeat.exit_code)
        for number, heartbeat in others.items():
            if heartbeat.error is None and not alive(heartbeat):
                return RankFailure(f"rank {number} died (killed, or out of memory?) in {heartbeat.phase}")
        silent = [number for number in self._received_at if self._is_silent(number, now)]
        if silent:
            # Rank 0 hosts the store: if it is silent all ranks seem so, and it must be the one named.
            return RankFailure(
                f"no heartbeat from rank {silent[0]} for {self.limits.rank_timeout:g} s "
                f"(guard.rank_timeout); its last phase was {self._phase(silent[0])}"
            )
        if now - self._progress_at > self.limits.stall_timeout:
            where = ", ".join(
                f"rank {number} in {heartbeat.phase}" for number, heartbeat in sorted(self._latest.items())
            )
            return RankFailure(
                f"no rank made progress for {self.limits.stall_timeout:g} s (guard.stall_timeout): {where}"
            )
        return None

    def _is_silent(self, number: int, now: float) -> bool:
        heartbeat = self._latest.get(number)
        ended = heartbeat is not None and heartbeat.error is not None
        return not ended and now - self._received_at[number] > self.limits.rank_timeout

    def _phase(self, number: int) -> str:
        return self._latest[number].phase if number in self._latest else STARTING
