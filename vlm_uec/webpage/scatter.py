"""Scatter plots, and the correlation of their points."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from statistics import StatisticsError, correlation

from vlm_uec.webpage.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Frame, Points, colour_of
from vlm_uec.webpage.curves import x_tick_labels

MAX_DOTS = 400  # per series; of more points every n-th is drawn


def scatter_chart(series: Sequence[tuple[int, Points]]) -> list[str]:
    """The dots of each (series number, points), and lines at x = 0 and y = 0 if these are in range."""
    frame = Frame.of([point for _, points in series for point in points])
    parts = frame.grid_lines() + x_tick_labels(frame)
    if frame.x_low <= 0 <= frame.x_high:
        x = frame.pixel_x(0)
        parts.append(f'<line class="zero" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
    if frame.ticks[0] <= 0 <= frame.ticks[-1]:
        y = frame.pixel_y(0)
        parts.append(f'<line class="zero" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
    for number, points in series:
        for x, y in points[:: ceil(len(points) / MAX_DOTS)]:
            left, top = frame.pixel(x, y)
            parts.append(
                f'<circle class="dot" cx="{left:g}" cy="{top:g}" r="2.2" fill="{colour_of(number)}"/>'
            )
    return parts


def correlation_of(points: Points) -> float | None:
    """Pearson correlation; None for fewer than three points, or if x or y is constant."""
    if len(points) < 3:
        return None
    try:
        return correlation([x for x, _ in points], [y for _, y in points])
    except StatisticsError:
        return None
