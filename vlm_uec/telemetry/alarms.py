"""Entropy alarms: collapse (the policy stopped exploring) and explosion (responses became incoherent).

The mean over the last `window` steps is compared with the mean over the first `window`; a single outlier
raises no alarm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

ENTROPY = "entropy/exact"


@dataclass(frozen=True)
class EntropyBand:
    """Bounds without alarm, as shares of the initial entropy, and the number of steps in a mean."""

    low: float
    high: float
    window: int


def entropy_limits(band: EntropyBand, entropies: Sequence[float]) -> tuple[float, float] | None:
    """The bounds without alarm in nats; None before the first window is full.

    `entropies`: of the steps in order, all finite.
    """
    if len(entropies) < band.window:
        return None
    start = fmean(entropies[: band.window])
    return band.low * start, band.high * start


class EntropyAlarm:
    """Finds alarms in the metrics of all steps, in order."""

    def __init__(self, band: EntropyBand, history: Iterable[Mapping[str, float | None]] = ()) -> None:
        """`history`: the metrics of earlier steps, for a resumed run."""
        self._band = band
        self._entropies: list[float] = []
        self._state = ""
        for row in history:
            self.update(row)

    def update(self, row: Mapping[str, float | None]) -> tuple[dict[str, float], str | None]:
        """The step's `alarm/...` metrics, and a message if an alarm begins or ends."""
        entropy = row.get(ENTROPY)
        if entropy is not None and math.isfinite(entropy):
            self._entropies.append(entropy)
        before, self._state = self._state, self._find_state()
        metrics = {
            "alarm/entropy_collapse": float(self._state == "collapse"),
            "alarm/entropy_explosion": float(self._state == "explosion"),
        }
        return metrics, self._message() if self._state != before else None

    @property
    def share(self) -> float | None:
        """Current entropy as a share of the initial; None before two full windows, or if the initial is 0."""
        window = self._band.window
        if len(self._entropies) < 2 * window or not (start := fmean(self._entropies[:window])):
            return None
        return fmean(self._entropies[-window:]) / start

    def _find_state(self) -> str:
        if self.share is None or self._band.low <= self.share <= self._band.high:
            return ""
        return "collapse" if self.share < self._band.low else "explosion"

    def _message(self) -> str:
        if not self._state:
            return "entropy is back in its band"
        advice = {
            "collapse": "the policy has almost stopped exploring; lower optim.lr, or raise exploration",
            "explosion": "responses become incoherent; lower optim.lr or exploration.temperature",
        }
        return (
            f"ALARM: entropy {self._state}: {self.share:.2f} of its initial value, outside of "
            f"{self._band.low:g} to {self._band.high:g} (guard.entropy_low, _high); {advice[self._state]}"
        )
