"""Curves of a run over its steps: what was measured, its running mean, and the values under the pointer."""

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
    labels_across,
    short,
    ticks_of,
)
from vlm_uec.webpage.html import text
from vlm_uec.webpage.text_budget import cut

MAX_POINTS = 500  # drawn of a curve
MAX_READINGS = 60  # places of a chart that tell their values
SIDES = 50  # the running mean takes so small a share of the points to either side
STYLE = """
svg .raw { stroke-width: 1; opacity: 0.22; } svg .dashed { stroke-dasharray: 5 3; }
svg .level { stroke-width: 1.2; stroke-dasharray: 2 3; } svg .zone { opacity: 0.09; }
svg .reading { fill: transparent; } svg .reading:hover { fill: var(--dim); opacity: 0.25; }
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
    """Finite points in the order of x, one at least."""

    name: str
    colour: int
    points: Points
    dashed: bool = False
    dots: bool = False  # rare points: each is to be seen, and none is averaged


@dataclass(frozen=True)
class Band:
    """Values between which all is well; `shaded`: the rest is coloured."""

    low: float
    high: float
    colour: str
    shaded: bool


@dataclass(frozen=True)
class Mark:
    """A place on the x axis, and what is there."""

    x: float
    told: str
    kind: str = ""


def curve_chart(
    curves: Sequence[Curve],
    along: str,
    bands: Sequence[Band] = (),
    marks: Sequence[Mark] = (),
    *,
    logarithmic: bool = False,
) -> list[str]:
    """SVG elements. `along`: what x counts, for the values that show under the pointer.

    `logarithmic`: the axis of y, where all values are above 0; a band's edge at 0 is then out of sight.
    """
    points = [point for curve in curves for point in curve.points]
    logarithmic = logarithmic and all(y > 0 for _, y in points)
    edges = [end for band in bands for end in (band.low, band.high) if end > 0 or not logarithmic]
    frame = Frame.of(points + [(points[0][0], edge) for edge in edges], logarithmic=logarithmic)
    whole = all(x == int(x) for curve in curves for x, _ in curve.points)
    parts = frame.rules() + labels_of(frame, whole=whole)
    for band in bands:
        parts += _band(band, frame)
    drawn = [part for curve in curves for part in _curve(curve, frame)]
    # What was measured lies below all means.
    parts += sorted(drawn, key=lambda part: 'class="raw' not in part)
    parts += [_mark(mark, frame) for mark in marks if frame.x_low <= mark.x <= frame.x_high]
    return parts + list(_readings(curves, frame, along))


def running_mean(values: Sequence[float], sides: int) -> list[float]:
    """The mean of each value and of up to `sides` on either side of it."""
    sums = [0.0, *accumulate(values)]
    ends = [(max(0, i - sides), min(len(values), i + sides + 1)) for i in range(len(values))]
    return [(sums[end] - sums[start]) / (end - start) for start, end in ends]


def thinned(points: Points, most: int = MAX_POINTS) -> Points:
    """`most` points at the most, of as many equal stretches as that allows the least and the largest: no peak
    goes missing."""
    if len(points) <= most:
        return points
    stretches = most // 2
    kept: list[tuple[float, float]] = []
    for number in range(stretches):
        stretch = points[number * len(points) // stretches : (number + 1) * len(points) // stretches]
        low = min(range(len(stretch)), key=lambda i: stretch[i][1])
        high = max(range(len(stretch)), key=lambda i: stretch[i][1])
        kept += [stretch[place] for place in sorted({low, high})]
    return kept


def _curve(curve: Curve, frame: Frame) -> Iterator[str]:
    dashed = " dashed" if curve.dashed else ""
    hue = colour_of(curve.colour)
    if curve.dots or len(curve.points) == 1:
        yield _path(thinned(curve.points), frame, hue, dashed)
        for x, y in thinned(curve.points):
            across, up = frame.place(x, y)
            yield f'<circle cx="{across}" cy="{up}" r="3" fill="{hue}"/>'
        return
    sides = len(curve.points) // SIDES
    if not sides:
        yield _path(curve.points, frame, hue, dashed)
        return
    yield _path(thinned(curve.points), frame, hue, f"raw{dashed}")
    means = running_mean([y for _, y in curve.points], sides)
    smooth = list(zip((x for x, _ in curve.points), means, strict=True))
    yield _path(thinned(smooth, MAX_POINTS // 2), frame, hue, dashed)


def _path(points: Points, frame: Frame, hue: str, kind: str) -> str:
    places = " ".join(f"{x:g},{y:g}" for x, y in (frame.place(*point) for point in points))
    return f'<polyline class="{kind.strip()}" stroke="{hue}" points="{places}"/>'


def labels_of(frame: Frame, *, whole: bool = False) -> list[str]:
    """Round values along the x axis, `whole` numbers only where it counts something."""
    ticks = [tick for tick in ticks_of(frame.x_low, frame.x_high) if frame.x_low <= tick <= frame.x_high]
    kept = [tick for tick in ticks if not whole or tick == int(tick)]
    return labels_across([(frame.across(tick), short(tick)) for tick in kept])


def _band(band: Band, frame: Frame) -> Iterator[str]:
    seen = [edge for edge in (band.low, band.high) if edge > 0 or not frame.logarithmic]
    edges = [frame.up(edge) for edge in seen]
    for y in edges:
        ends = f'x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"'
        yield f'<line class="level" {ends} stroke="{band.colour}"/>'
    if band.shaded:
        for top, bottom in ((TOP, edges[-1]), (edges[0], HEIGHT - BOTTOM))[: len(edges)]:
            shape = f'x="{LEFT}" y="{top}" width="{WIDTH - RIGHT - LEFT}" height="{max(0, bottom - top):.1f}"'
            yield f'<rect class="zone" {shape} fill="{band.colour}"/>'


def _mark(mark: Mark, frame: Frame) -> str:
    x, bottom = frame.across(mark.x), HEIGHT - BOTTOM
    shape = f"M{x} {bottom - 9}l5 9h-10z"
    return f'<path class="mark {mark.kind}" d="{shape}"><title>{text(mark.told)}</title></path>'


def _readings(curves: Sequence[Curve], frame: Frame, along: str) -> Iterator[str]:
    """Strips side by side that tell what the curves are at their x."""
    xs = sorted({x for curve in curves for x, _ in curve.points})
    count = min(len(xs), MAX_READINGS)
    chosen = [xs[(2 * number + 1) * len(xs) // (2 * count)] for number in range(count)]
    places = [frame.across(x) for x in chosen]
    edges = [
        float(LEFT),
        *((a + b) / 2 for a, b in pairwise(places)),
        float(WIDTH - RIGHT),
    ]
    reach = (frame.x_high - frame.x_low) / count
    nearest = [_nearest(curve.points, reach) for curve in curves]
    for x, left, right in zip(chosen, edges, edges[1:], strict=False):
        values = [(curve.name, value(x)) for curve, value in zip(curves, nearest, strict=True)]
        told = [
            f"{along} {x:,.0f}" if x >= 100 else f"{along} {x:.3g}",
            *(f"{cut(n, 80)}: {v:.4g}" for n, v in values if v is not None),
        ]
        shape = (
            f'x="{left:.1f}" y="{TOP}" width="{max(0.0, right - left):.1f}" height="{HEIGHT - TOP - BOTTOM}"'
        )
        yield f'<rect class="reading" {shape}><title>{text(chr(10).join(told))}</title></rect>'


def _nearest(points: Points, reach: float) -> Callable[[float], float | None]:
    xs = [x for x, _ in points]

    def value(x: float) -> float | None:
        place = bisect_left(xs, x)
        near = min((i for i in (place - 1, place) if 0 <= i < len(xs)), key=lambda i: abs(xs[i] - x))
        return points[near][1] if abs(xs[near] - x) <= reach else None

    return value
