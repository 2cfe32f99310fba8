"""Charts as SVG: lines with intervals and groups of bars, on a card of a page or as a file of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlm_uec.webpage.axes import (
    BOTTOM,
    CHARACTER,
    HEIGHT,
    LEFT,
    RIGHT,
    WIDTH,
    Frame,
    Points,
    colour_of,
    height_of,
    label_across,
    labels_across,
    rules,
    ticks_of,
)
from vlm_uec.webpage.html import Html, element, text

Interval = tuple[float, float, float]  # x, low, high

_GROUP_FILL = 0.8  # of a group's width
_APART = 5  # from one series' interval to the next one's at the same x
_FIGURE_STYLE = """
text { font: 11px system-ui, sans-serif; fill: #444; } .title { font-size: 14px; font-weight: 600; }
.rule { stroke: #ddd; } .interval { fill: none; stroke-width: 1.4; opacity: 0.7; }
polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
"""


@dataclass(frozen=True)
class Drawing:
    """SVG elements in a box of 460 x 220, and the series' names in the order of their colours."""

    parts: tuple[str, ...]
    names: tuple[str, ...]


def line_chart(title: str, series: Mapping[str, Points]) -> Html:
    """A card with one line a series, its finite points only."""
    return card(title, lines(series))


def bar_chart(title: str, labels: Sequence[str], series: Mapping[str, Sequence[float]], unit: str) -> Html:
    """A card with a group of bars a label, as `bars` draws them."""
    return card(title, bars(labels, series, unit))


def card(title: str, drawing: Drawing) -> Html:
    """A drawing on a page, under its title and over its legend."""
    if not drawing.parts:
        return element("div", element("h3", text(title)), element("p", text("nothing recorded")), kind="card")
    keys = [legend_key(number, name) for number, name in enumerate(drawing.names)]
    body = (element("h3", text(title)), svg(drawing.parts), element("div", *keys, kind="legend"))
    return element("div", *body, kind="card")


def svg(parts: Sequence[str]) -> Html:
    """A chart's elements on a page."""
    return Html(f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>')


def legend_key(number: int, name: str) -> Html:
    """The name of the series with this number, beside its colour."""
    return Html(f'<span><i style="background:{colour_of(number)}"></i>{text(name)}</span>')


def figure(title: str, drawing: Drawing, across: str, up: str) -> str:
    """A drawing as an SVG file for a paper: title, names of both axes, legend, on white."""
    legend, below = _legend(drawing.names, 24 + LEFT, HEIGHT + 64, WIDTH + 24)
    width, height = WIDTH + 24, below + 12
    middle = 24 + LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts = [
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text class="title" x="{middle}" y="22" text-anchor="middle">{text(title)}</text>',
        f'<text transform="translate(16 138) rotate(-90)" text-anchor="middle">{text(up)}</text>',
        f'<g transform="translate(24 28)">{"".join(drawing.parts)}</g>',
        f'<text x="{middle}" y="{HEIGHT + 42}" text-anchor="middle">{text(across)}</text>',
        *legend,
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width * 1.5:g}">'
        f"<title>{text(title)}</title><style>{_FIGURE_STYLE}</style>{''.join(parts)}</svg>\n"
    )


def lines(
    series: Mapping[str, Points],
    intervals: Mapping[str, Sequence[Interval]] | None = None,
    x_labels: Sequence[tuple[float, str]] = (),
    *,
    from_zero: bool = False,
) -> Drawing:
    """One line a series, its finite points only; no parts where there are none.

    `intervals`: upright lines by a series' name. `x_labels`: names of places on the x axis; where none are
    given, its two ends tell their values. `from_zero`: the y axis shows 0, so that heights can be compared.
    """
    shown = {name: [p for p in points if all(map(math.isfinite, p))] for name, points in series.items()}
    shown = {name: points for name, points in shown.items() if points}
    if not shown:
        return Drawing((), ())
    upright = {
        name: [i for i in (intervals or {}).get(name, ()) if all(map(math.isfinite, i))] for name in shown
    }
    return Drawing(tuple(_lines(shown, upright, x_labels, from_zero)), tuple(shown))


def bars(labels: Sequence[str], series: Mapping[str, Sequence[float]], unit: str) -> Drawing:
    """A group of bars a label, in it a bar a series; hovering over one tells its value.

    Each series has one value a label; what is not finite and above 0 has no bar. Raises `ValueError` where a
    series is longer or shorter.
    """
    if any(len(values) != len(labels) for values in series.values()):
        raise ValueError(f"a series has not one value for each of {len(labels)} labels")
    heights = {
        name: [value if 1e-300 < value < math.inf else 0.0 for value in values]
        for name, values in series.items()
    }
    parts = _bars(labels, heights, unit) if any(map(any, heights.values())) else []
    return Drawing(tuple(parts), tuple(series))


def _legend(names: Sequence[str], left: float, y: int, right: float) -> tuple[list[str], int]:
    """From (left, y) on, in as many lines as the names need; the parts, and the last line's y."""
    parts, x = [], left
    for number, name in enumerate(names):
        if x > left and x + 15 + len(name) * CHARACTER > right:
            x, y = left, y + 18
        parts.append(
            f'<rect x="{x:g}" y="{y - 9}" width="10" height="10" rx="3" fill="{colour_of(number)}"/>'
        )
        parts.append(f'<text x="{x + 15:g}" y="{y}">{text(name)}</text>')
        x += 30 + len(name) * CHARACTER
    return parts, y


def _bars(labels: Sequence[str], series: Mapping[str, Sequence[float]], unit: str) -> list[str]:
    ticks = ticks_of(0.0, max(max(values) for values in series.values()))
    group = (WIDTH - LEFT - RIGHT) / len(labels)
    width = group * _GROUP_FILL / len(series)
    room = max(map(len, labels)) * CHARACTER + 12
    named = math.ceil(room / group)  # every how many labels have room
    parts = rules(ticks)
    for number, label in enumerate(labels):
        left = LEFT + group * number
        if number % named == 0:
            middle = min(left + group / 2, WIDTH - room / 2)
            parts.append(label_across(round(middle, 1), label, "middle"))
        for place, (name, values) in enumerate(series.items()):
            x = left + group * (1 - _GROUP_FILL) / 2 + width * place
            if values[number]:
                told = f"{name}, {label}: {values[number]:.4g}{unit}"
                parts.append(_bar(x, height_of(values[number], ticks), width, colour_of(place), told))
    return parts


def _bar(x: float, y: float, width: float, colour: str, told: str) -> str:
    height = round(HEIGHT - BOTTOM - y, 1)
    shape = f'x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height}" fill="{colour}"'
    return f'<rect class="bar" {shape}><title>{text(told)}</title></rect>'


def _lines(
    series: Mapping[str, Points],
    intervals: Mapping[str, Sequence[Interval]],
    x_labels: Sequence[tuple[float, str]],
    from_zero: bool,
) -> list[str]:
    ends = [(x, end) for some in intervals.values() for x, low, high in some for end in (low, high)]
    points = [point for line in series.values() for point in line] + ends
    if from_zero:
        points.append((points[0][0], 0.0))
    frame = Frame.of(points)
    parts = frame.rules()
    if x_labels:
        parts += labels_across([(frame.across(x), label) for x, label in x_labels])
    else:
        for end, anchor in ((frame.x_low, "start"), (frame.x_high, "end")):
            parts.append(label_across(frame.across(end), f"{end:g}", anchor))
    for number, (name, line) in enumerate(series.items()):
        aside = (number - (len(series) - 1) / 2) * _APART
        for x, low, high in intervals[name]:
            parts.append(_interval(frame.place(x, low), frame.place(x, high), aside, colour_of(number)))
        parts.append(_line([frame.place(x, y) for x, y in line], colour_of(number)))
    return parts


def _interval(low: tuple[float, float], high: tuple[float, float], aside: float, colour: str) -> str:
    x = min(max(round(low[0] + aside, 1), LEFT), WIDTH - 4)
    shape = f"M{x - 3:g} {low[1]}h6M{x - 3:g} {high[1]}h6M{x} {low[1]}V{high[1]}"
    return f'<path class="interval" stroke="{colour}" d="{shape}"/>'


def _line(points: Points, colour: str) -> str:
    if len(points) == 1:
        return f'<circle cx="{points[0][0]}" cy="{points[0][1]}" r="3" fill="{colour}"/>'
    return f'<polyline stroke="{colour}" points="{" ".join(f"{x},{y}" for x, y in points)}"/>'
