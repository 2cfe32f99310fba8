"""Pairs of values as dots: whether one follows the other."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from statistics import StatisticsError, correlation

from vlm_uec.webpage.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Frame, Points, colour_of
from vlm_uec.webpage.curves import labels_of

MAX_DOTS = 400  # of a series: of more every n-th is drawn, so that the cloud keeps its shape


def scatter_chart(series: Sequence[tuple[int, Points]]) -> list[str]:
    """Each series' dots in the colour of its number, and lines where x and y are 0 if that is in sight."""
    frame = Frame.of([point for _, points in series for point in points])
    parts = frame.rules() + labels_of(frame)
    if frame.x_low <= 0 <= frame.x_high:
        x = frame.across(0)
        parts.append(f'<line class="zero" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
    if frame.ticks[0] <= 0 <= frame.ticks[-1]:
        y = frame.up(0)
        parts.append(f'<line class="zero" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
    for number, points in series:
        for x, y in points[:: ceil(len(points) / MAX_DOTS)]:
            left, up = frame.place(x, y)
            parts.append(
                f'<circle class="dot" cx="{left:g}" cy="{up:g}" r="2.2" fill="{colour_of(number)}"/>'
            )
    return parts


def correlation_of(points: Points) -> float | None:
    """Pearson's; None of fewer than three points, or where either does not vary."""
    if len(points) < 3:
        return None
    try:
        return correlation([x for x, _ in points], [y for _, y in points])
    except StatisticsError:
        return None
