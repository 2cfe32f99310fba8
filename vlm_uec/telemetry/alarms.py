"""Alarms on entropy: a policy that has stopped exploring, and one that has come apart.

Both are relative to how the run began: the mean of its first `window` steps is the reference, and the mean of
the last `window` is compared with it, so that one odd step is no alarm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

ENTROPY = "entropy/exact"


@dataclass(frozen=True)
class EntropyBand:
    """Shares of the first steps' entropy within which there is no alarm, and how many steps make a mean."""

    low: float
    high: float
    window: int


def entropy_limits(band: EntropyBand, entropies: Sequence[float]) -> tuple[float, float] | None:
    """Between which entropies, in nats, there is no alarm; None before the first window is full.

    `entropies`: of the steps in order, all finite.
    """
    if len(entropies) < band.window:
        return None
    start = fmean(entropies[: band.window])
    return band.low * start, band.high * start


class EntropyAlarm:
    """Sees every step's metrics, in order."""

    def __init__(self, band: EntropyBand, history: Iterable[Mapping[str, float | None]] = ()) -> None:
        """`history`: the lines of the steps before, of a run that goes on."""
        self._band = band
        self._entropies: list[float] = []
        self._state = ""
        for row in history:
            self.update(row)

    def update(self, row: Mapping[str, float | None]) -> tuple[dict[str, float], str | None]:
        """The step's `alarm/...` metrics, and a line where an alarm begins or ends."""
        entropy = row.get(ENTROPY)
        if entropy is not None and math.isfinite(entropy):
            self._entropies.append(entropy)
        before, self._state = self._state, self._judge()
        told = {
            "alarm/entropy_collapse": float(self._state == "collapse"),
            "alarm/entropy_explosion": float(self._state == "explosion"),
        }
        return told, self._line() if self._state != before else None

    @property
    def share(self) -> float | None:
        """Entropy now as a share of the first steps'; None until there are two windows, or of nothing."""
        window = self._band.window
        if len(self._entropies) < 2 * window or not (start := fmean(self._entropies[:window])):
            return None
        return fmean(self._entropies[-window:]) / start

    def _judge(self) -> str:
        if self.share is None or self._band.low <= self.share <= self._band.high:
            return ""
        return "collapse" if self.share < self._band.low else "explosion"

    def _line(self) -> str:
        if not self._state:
            return "entropy is back in its band"
        advice = {
            "collapse": "the policy hardly explores any more; lower optim.lr, or raise exploration",
            "explosion": "responses come apart; lower optim.lr or exploration.temperature",
        }
        return (
            f"ALARM: entropy {self._state}: {self.share:.2f} of what it was at the start, outside of "
            f"{self._band.low:g} to {self._band.high:g} (guard.entropy_low, _high); {advice[self._state]}"
        )
