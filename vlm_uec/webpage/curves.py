"""Curves of a run over its steps: measured values, running mean, and tooltips with the values."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from vlm_uec.webpage.axes import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Frame,
    Points,
    colour_of,
    fitting_labels,
    linear_ticks,
    short_number,
)
from vlm_uec.webpage.html import text
from vlm_uec.webpage.text_budget import cut

MAX_POINTS = 500  # drawn per curve
MAX_TOOLTIPS = 60  # per chart
HALF_WINDOW_DIVISOR = 50  # half the window of the running mean is 1/50 of the points
STYLE = """
svg .raw { stroke-width: 1; opacity: 0.22; } svg .dashed { stroke-dasharray: 5 3; }
svg .level { stroke-width: 1.2; stroke-dasharray: 2 3; } svg .zone { opacity: 0.09; }
svg .tooltip { fill: transparent; } svg .tooltip:hover { fill: var(--dim); opacity: 0.25; }
svg .zero { stroke: var(--dim); stroke-width: 0.8; } svg .dot { opacity: 0.55; }
svg .mark { fill: var(--dim); } svg .mark.best { fill: var(--right); }
.legend i.dashed { background: repeating-linear-gradient(90deg, currentColor 0 4px, transparent 4px 7px);
  height: 2px; width: 18px; vertical-align: middle; border-radius: 0; }
.legend i.solid { background: currentColor; height: 2px; width: 18px; vertical-align: middle; }
.legend i.alarm { background: repeating-linear-gradient(90deg, currentColor 0 2px, transparent 2px 5px);
  height: 2px; width: 18px; vertical-align: middle; border-radius: 0; }
"""


@dataclass(frozen=True)
class Curve:
    """At least one finite point, in order of x."""

    name: str
    colour: int
    points: Points
    dashed: bool = False
    dots: bool = False  # sparse points: each is drawn as a dot, without a running mean


@dataclass(frozen=True)
class Band:
    """The normal range of values; `shaded`: values outside it are coloured."""

    low: float
    high: float
    colour: str
    shaded: bool


@dataclass(frozen=True)
class Mark:
    """A marker on the x axis with its tooltip."""

    x: float
    tooltip: str
    kind: str = ""


def curve_chart(
    curves: Sequence[Curve],
    x_name: str,
    bands: Sequence[Band] = (),
    marks: Sequence[Mark] = (),
    *,
    logarithmic: bool = False,
) -> list[str]:
    """SVG elements. `x_name`: what x counts, shown in the tooltips.

    `logarithmic`: the y axis, if all values are positive; the edge of a band at 0 is then not drawn.
    """
    points = [point for curve in curves for point in curve.points]
    logarithmic = logarithmic and all(y > 0 for _, y in points)
    edges = [end for band in bands for end in (band.low, band.high) if end > 0 or not logarithmic]
    frame = Frame.of(points + [(points[0][0], edge) for edge in edges], logarithmic=logarithmic)
    integers_only = all(x == int(x) for curve in curves for x, _ in curve.points)
    parts = frame.grid_lines() + x_tick_labels(frame, integers_only=integers_only)
    for band in bands:
        parts += _band(band, frame)
    drawn = [part for curve in curves for part in _curve(curve, frame)]
    # Measured values are drawn below all means.
    parts += sorted(drawn, key=lambda part: 'class="raw' not in part)
    parts += [_mark(mark, frame) for mark in marks if frame.x_low <= mark.x <= frame.x_high]
    return parts + list(_tooltips(curves, frame, x_name))


def running_mean(values: Sequence[float], half_window: int) -> list[float]:
    """The mean of each value and up to `half_window` values on either side."""
    sums = [0.0, *accumulate(values)]
    ends = [(max(0, i - half_window), min(len(values), i + half_window + 1)) for i in range(len(values))]
    return [(sums[end] - sums[start]) / (end - start) for start, end in ends]


def downsample(points: Points, max_points: int = MAX_POINTS) -> Points:
    """At most `max_points` points: the minimum and the maximum of each of `max_points // 2` equal segments.

    Every peak is kept.
    """
    if len(points) <= max_points:
        return points
    segments = max_points // 2
    kept: list[tuple[float, float]] = []
    for number in range(segments):
        segment = points[number * len(points) // segments : (number + 1) * len(points) // segments]
        low = min(range(len(segment)), key=lambda i: segment[i][1])
        high = max(range(len(segment)), key=lambda i: segment[i][1])
        kept += [segment[index] for index in sorted({low, high})]
    return kept


def _curve(curve: Curve, frame: Frame) -> Iterator[str]:
    dashed = " dashed" if curve.dashed else ""
    colour = colour_of(curve.colour)
    if curve.dots or len(curve.points) == 1:
        yield _path(downsample(curve.points), frame, colour, dashed)
        for x, y in downsample(curve.points):
            left, top = frame.pixel(x, y)
            yield f'<circle cx="{left}" cy="{top}" r="3" fill="{colour}"/>'
        return
    half_window = len(curve.points) // HALF_WINDOW_DIVISOR
    if not half_window:
        yield _path(curve.points, frame, colour, dashed)
        return
    yield _path(downsample(curve.points), frame, colour, f"raw{dashed}")
    means = running_mean([y for _, y in curve.points], half_window)
    smooth = list(zip((x for x, _ in curve.points), means, strict=True))
    yield _path(downsample(smooth, MAX_POINTS // 2), frame, colour, dashed)


def _path(points: Points, frame: Frame, colour: str, kind: str) -> str:
    positions = " ".join(f"{x:g},{y:g}" for x, y in (frame.pixel(*point) for point in points))
    return f'<polyline class="{kind.strip()}" stroke="{colour}" points="{positions}"/>'


def x_tick_labels(frame: Frame, *, integers_only: bool = False) -> list[str]:
    """Labels at round values of the x axis; `integers_only`: omits fractions."""
    ticks = [tick for tick in linear_ticks(frame.x_low, frame.x_high) if frame.x_low <= tick <= frame.x_high]
    kept = [tick for tick in ticks if not integers_only or tick == int(tick)]
    return fitting_labels([(frame.pixel_x(tick), short_number(tick)) for tick in kept])


def _band(band: Band, frame: Frame) -> Iterator[str]:
    visible = [edge for edge in (band.low, band.high) if edge > 0 or not frame.logarithmic]
    edges = [frame.pixel_y(edge) for edge in visible]
    for y in edges:
        ends = f'x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"'
        yield f'<line class="level" {ends} stroke="{band.colour}"/>'
    if band.shaded:
        for top, bottom in ((TOP, edges[-1]), (edges[0], HEIGHT - BOTTOM))[: len(edges)]:
            shape = f'x="{LEFT}" y="{top}" width="{WIDTH - RIGHT - LEFT}" height="{max(0, bottom - top):.1f}"'
            yield f'<rect class="zone" {shape} fill="{band.colour}"/>'


def _mark(mark: Mark, frame: Frame) -> str:
    x, bottom = frame.pixel_x(mark.x), HEIGHT - BOTTOM
    shape = f"M{x} {bottom - 9}l5 9h-10z"
    return f'<path class="mark {mark.kind}" d="{shape}"><title>{text(mark.tooltip)}</title></path>'


def _tooltips(curves: Sequence[Curve], frame: Frame, x_name: str) -> Iterator[str]:
    """Adjacent invisible strips whose tooltips are the values of the curves at their x."""
    xs = sorted({x for curve in curves for x, _ in curve.points})
    count = min(len(xs), MAX_TOOLTIPS)
    chosen = [xs[(2 * number + 1) * len(xs) // (2 * count)] for number in range(count)]
    positions = [frame.pixel_x(x) for x in chosen]
    edges = [
        float(LEFT),
        *((a + b) / 2 for a, b in pairwise(positions)),
        float(WIDTH - RIGHT),
    ]
    max_distance = (frame.x_high - frame.x_low) / count
    nearest = [_nearest_value(curve.points, max_distance) for curve in curves]
    for x, left, right in zip(chosen, edges, edges[1:], strict=False):
        values = [(curve.name, value(x)) for curve, value in zip(curves, nearest, strict=True)]
        tooltip = [
            f"{x_name} {x:,.0f}" if x >= 100 else f"{x_name} {x:.3g}",
            *(f"{cut(n, 80)}: {v:.4g}" for n, v in values if v is not None),
        ]
        shape = (
            f'x="{left:.1f}" y="{TOP}" width="{max(0.0, right - left):.1f}" height="{HEIGHT - TOP - BOTTOM}"'
        )
        yield f'<rect class="tooltip" {shape}><title>{text(chr(10).join(tooltip))}</title></rect>'


def _nearest_value(points: Points, max_distance: float) -> Callable[[float], float | None]:
    xs = [x for x, _ in points]

    def value(x: float) -> float | None:
        index = bisect_left(xs, x)
        near = min((i for i in (index - 1, index) if 0 <= i < len(xs)), key=lambda i: abs(xs[i] - x))
        return points[near][1] if abs(xs[near] - x) <= max_distance else None

    return value
