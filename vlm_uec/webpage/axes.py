"""Axes of charts: scales, grid lines and labels."""

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
CHARACTER_WIDTH = 6.3  # average width in a label, in SVG units
_FACTORS = {"G": 1e9, "M": 1e6, "k": 1e3}


def colour_of(number: int) -> str:
    """The colour of series `number`."""
    return COLOURS[number % len(COLOURS)]


@dataclass(frozen=True)
class Frame:
    """A plot's x range and its y ticks. `ticks` of a logarithmic y axis are base-10 logarithms."""

    x_low: float
    x_high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    @classmethod
    def of(cls, points: Points, *, logarithmic: bool = False) -> Frame:
        """The frame that spans `points`: at least one, all finite, and all positive if `logarithmic`."""
        x_low, x_high = padded_range([x for x, _ in points])
        low, high = padded_range([y for _, y in points])
        ticks = log_ticks(low, high) if logarithmic else linear_ticks(low, high)
        return cls(x_low, x_high, ticks, logarithmic)

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """SVG coordinates of a point, rounded to a tenth."""
        return self.pixel_x(x), self.pixel_y(y)

    def pixel_x(self, x: float) -> float:
        share = (x - self.x_low) / (self.x_high - self.x_low)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def pixel_y(self, y: float) -> float:
        return pixel_y(math.log10(y) if self.logarithmic else y, self.ticks)

    def grid_lines(self) -> list[str]:
        """A labelled horizontal line per y tick."""
        values = [10**tick for tick in self.ticks] if self.logarithmic else self.ticks
        return grid_lines(self.ticks, values)


def grid_lines(ticks: Sequence[float], values: Sequence[float] | None = None) -> list[str]:
    """A horizontal line per tick, labelled with its entry of `values`, or with the tick itself."""
    parts = []
    for tick, value in zip(ticks, values or ticks, strict=True):
        y = pixel_y(tick, ticks)
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{short_number(value)}</text>')
    return parts


def fitting_labels(positions: Sequence[tuple[float, str]]) -> list[str]:
    """Labels that do not overlap, chosen from the right, so that the last one is always shown."""
    parts: list[str] = []
    right_limit = float(WIDTH)
    for x, label in reversed(positions):
        half = len(label) * CHARACTER_WIDTH / 2
        middle = min(x, WIDTH - half)
        if middle + half <= right_limit:
            parts.append(axis_label(round(middle, 1), label, "middle"))
            right_limit = middle - half - 6
    return parts


def axis_label(x: float, label: str, anchor: str) -> str:
    return f'<text x="{x}" y="{HEIGHT - 8}" text-anchor="{anchor}">{text(label)}</text>'


def short_number(value: float) -> str:
    """An axis label: 12000 as 12k, 0.000105 as 1.05e-4."""
    if abs(value) >= 1e4:
        for letter, factor in _FACTORS.items():
            if factor <= abs(value) < 1e12:
                return f"{value / factor:.4g}{letter}"
    if 0 < abs(value) < 1e-3:
        return re.sub(r"\.?0*e-0?", "e-", f"{value:.3e}")
    return f"{value:.4g}"


def pixel_y(value: float, ticks: Sequence[float]) -> float:
    """SVG y coordinate of a value; the first tick is at the bottom, the last at the top."""
    up = (value - ticks[0]) / (ticks[-1] - ticks[0]) * (HEIGHT - TOP - BOTTOM)
    return round(HEIGHT - BOTTOM - up, 1)


def padded_range(values: Sequence[float]) -> tuple[float, float]:
    """Minimum and maximum, padded if they hardly differ, so that a flat line is drawn in the middle."""
    low, high = min(values), max(values)
    size = max(abs(low), abs(high))
    if high - low > max(size * 1e-9, 1e-300):
        return low, high
    margin = size * 0.1 if size > 1e-300 else 1.0
    return low - margin, high + margin


def linear_ticks(low: float, high: float) -> tuple[float, ...]:
    """Four to eight equally spaced round numbers that span [low, high]."""
    raw_step = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw_step))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= raw_step * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(number * step for number in range(first, last + 1))


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Base-10 logarithms of ticks that span [low, high], both positive.

    The ticks are powers of ten, and 2 and 5 times these if the range is at most two decades.
    """
    start, end = math.log10(low), math.log10(high)
    power_step = max(1, math.ceil((end - start) / 8))
    powers = range(math.floor(start), math.ceil(end) + power_step, power_step)
    factors = (1, 2, 5) if end - start <= 2 else (1,)
    ticks = [power + math.log10(factor) for power in powers for factor in factors]
    first = max(index for index, tick in enumerate(ticks) if tick <= start)
    last = min(index for index, tick in enumerate(ticks) if tick >= end)
    return tuple(ticks[first : last + 1])
