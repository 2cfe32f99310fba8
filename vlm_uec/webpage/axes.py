"""Where a chart's values lie in its box, and the rules and labels that say so."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from vlm_uec.webpage.html import text

Points = Sequence[tuple[float, float]]

COLOURS = (
    "#3b6fd4", "#d9722e", "#2f9e6e", "#b0469c", "#8a6d1f", "#5b5f97", "#c43d4b", "#3a98a8", "#777777",
    "#94a63c", "#d07a9c", "#4f9de0",
)  # fmt: skip
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 460, 220, 52, 10, 12, 26
CHARACTER = 6.3  # the width of one in a label
_FACTORS = {"G": 1e9, "M": 1e6, "k": 1e3}


def colour_of(number: int) -> str:
    """That of the series with this number."""
    return COLOURS[number % len(COLOURS)]


@dataclass(frozen=True)
class Frame:
    """A plot's range of x, and the round numbers of y that its rules stand at; on a logarithmic axis of y,
    their logarithms to base 10."""

    x_low: float
    x_high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    @classmethod
    def of(cls, points: Points, *, logarithmic: bool = False) -> Frame:
        """That spans the points, of which there is one at least, all finite; above 0 where `logarithmic`."""
        x_low, x_high = range_of([x for x, _ in points])
        low, high = range_of([y for _, y in points])
        ticks = log_ticks(low, high) if logarithmic else ticks_of(low, high)
        return cls(x_low, x_high, ticks, logarithmic)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """A point's place in the box, to a tenth."""
        return self.across(x), self.up(y)

    def across(self, x: float) -> float:
        share = (x - self.x_low) / (self.x_high - self.x_low)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def up(self, y: float) -> float:
        return height_of(math.log10(y) if self.logarithmic else y, self.ticks)

    def rules(self) -> list[str]:
        """A line across for each tick, with its value."""
        values = [10**tick for tick in self.ticks] if self.logarithmic else self.ticks
        return rules(self.ticks, values)


def rules(ticks: Sequence[float], values: Sequence[float] | None = None) -> list[str]:
    """A line across for each tick, with what it stands for: itself where `values` does not tell."""
    parts = []
    for tick, value in zip(ticks, values or ticks, strict=True):
        y = height_of(tick, ticks)
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{short(value)}</text>')
    return parts


def labels_across(places: Sequence[tuple[float, str]]) -> list[str]:
    """From the right, those that have room: the last is the one that is looked for."""
    parts: list[str] = []
    free = float(WIDTH)
    for x, label in reversed(places):
        half = len(label) * CHARACTER / 2
        middle = min(x, WIDTH - half)
        if middle + half <= free:
            parts.append(label_across(round(middle, 1), label, "middle"))
            free = middle - half - 6
    return parts


def label_across(x: float, label: str, anchor: str) -> str:
    return f'<text x="{x}" y="{HEIGHT - 8}" text-anchor="{anchor}">{text(label)}</text>'


def short(value: float) -> str:
    """A label of an axis: 12000 as 12k, 0.000105 as 1.05e-4."""
    if abs(value) >= 1e4:
        for letter, factor in _FACTORS.items():
            if factor <= abs(value) < 1e12:
                return f"{value / factor:.4g}{letter}"
    if 0 < abs(value) < 1e-3:
        return re.sub(r"\.?0*e-0?", "e-", f"{value:.3e}")
    return f"{value:.4g}"


def height_of(value: float, ticks: Sequence[float]) -> float:
    """A value's y in the box, where the first tick is at the bottom and the last at the top."""
    up = (value - ticks[0]) / (ticks[-1] - ticks[0]) * (HEIGHT - TOP - BOTTOM)
    return round(HEIGHT - BOTTOM - up, 1)


def range_of(values: Sequence[float]) -> tuple[float, float]:
    """Least and largest, wider where they hardly differ: a flat line stands in the middle."""
    low, high = min(values), max(values)
    size = max(abs(low), abs(high))
    if high - low > max(size * 1e-9, 1e-300):
        return low, high
    margin = size * 0.1 if size > 1e-300 else 1.0
    return low - margin, high + margin


def ticks_of(low: float, high: float) -> tuple[float, ...]:
    """Four to eight round numbers that span [low, high]."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(number * step for number in range(first, last + 1))


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Logarithms of powers of ten, and of 2 and 5 times those where few, that span [low, high], above 0."""
    start, end = math.log10(low), math.log10(high)
    every = max(1, math.ceil((end - start) / 8))
    powers = range(math.floor(start), math.ceil(end) + every, every)
    factors = (1, 2, 5) if end - start <= 2 else (1,)
    ticks = [power + math.log10(factor) for power in powers for factor in factors]
    first = max(place for place, tick in enumerate(ticks) if tick <= start)
    last = min(place for place, tick in enumerate(ticks) if tick >= end)
    return tuple(ticks[first : last + 1])
