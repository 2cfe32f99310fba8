"""What a rank concludes from what the others tell: pure rules, with neither threads nor a clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Seconds of silence from a rank, and without progress on all, after which the run ends."""

    rank_timeout: float
    stall_timeout: float


@dataclass(frozen=True)
class Heartbeat:
    """What a rank tells the others."""

    tick: int  # of its thread: it lives
    moves: int  # of its main thread: it gets on
    doing: str  # "step 3: rollout"
    host: str
    pid: int
    ended: str | None = None  # None while it works; "" after a sound end, else what it failed of
    code: int = 1  # its exit code where it failed


@dataclass(frozen=True)
class Verdict:
    """Why this rank must end."""

    message: str
    exit_code: int = 1


class RankHealth:
    """What one rank knows of the others, and what it concludes; no thread, no clock of its own."""

    def __init__(self, own: int, ranks: int, limits: Limits, now: float) -> None:
        self.own, self.limits = own, limits
        self._signs: dict[int, Heartbeat] = {}
        self._heard = dict.fromkeys((other for other in range(ranks) if other != own), now)
        self._moved = now

    def hear(self, number: int, sign: Heartbeat, now: float) -> None:
        """A rank's latest sign, its own among them."""
        before = self._signs.get(number)
        if before is None or (before.moves, before.doing) != (sign.moves, sign.doing):
            self._moved = now
        if number != self.own and sign != before:
            self._heard[number] = now
        self._signs[number] = sign

    def woke(self, now: float) -> None:
        """This rank itself slept (a suspended job): what it did not hear meanwhile is no one's fault."""
        self._heard = dict.fromkeys(self._heard, now)
        self._moved = now

    def verdict(self, now: float, alive: Callable[[Heartbeat], bool]) -> Verdict | None:
        """Why to end, or None. `alive`: whether a sign's process exists, as far as this machine can tell."""
        others = {number: self._signs[number] for number in self._heard if number in self._signs}
        for number, sign in others.items():
            if sign.ended:
                return Verdict(f"rank {number} failed in {sign.doing}: {sign.ended}", sign.code)
        for number, sign in others.items():
            if sign.ended is None and not alive(sign):
                return Verdict(f"rank {number} is gone (killed, or out of memory?); it was in {sign.doing}")
        silent = [number for number in self._heard if self._is_silent(number, now)]
        if silent:
            # Rank 0 keeps the store: where it is silent all are, and it comes first.
            return Verdict(
                f"rank {silent[0]} has not been heard of for {self.limits.rank_timeout:g} s "
                f"(guard.rank_timeout); it was in {self._doing(silent[0])}"
            )
        if now - self._moved > self.limits.stall_timeout:
            where = ", ".join(
                f"rank {number} in {sign.doing}" for number, sign in sorted(self._signs.items())
            )
            return Verdict(
                f"no rank got on for {self.limits.stall_timeout:g} s (guard.stall_timeout): {where}"
            )
        return None

    def _is_silent(self, number: int, now: float) -> bool:
        sign = self._signs.get(number)
        ended = sign is not None and sign.ended is not None
        return not ended and now - self._heard[number] > self.limits.rank_timeout

    def _doing(self, number: int) -> str:
        return self._signs[number].doing if number in self._signs else "its start"
