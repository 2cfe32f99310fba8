"""Charts as SVG: lines with intervals and groups of bars, on a card of a page or as a file of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlm_uec.telemetry.html import Html, element, text

Points = Sequence[tuple[float, float]]
Interval = tuple[float, float, float]  # x, low, high

_COLOURS = ("#3b6fd4", "#d9722e", "#2f9e6e", "#b0469c", "#8a6d1f", "#5b5f97", "#c43d4b", "#3a98a8", "#777777")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 460, 220, 52, 10, 12, 26
_GROUP_FILL = 0.8  # of a group's width
_CHARACTER = 6.3  # the width of one in a label
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
    legend = [
        Html(f'<span><i style="background:{_colour(i)}"></i>{text(name)}</span>')
        for i, name in enumerate(drawing.names)
    ]
    shape = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{"".join(drawing.parts)}</svg>'
    body = (element("h3", text(title)), Html(shape), element("div", *legend, kind="legend"))
    return element("div", *body, kind="card")


def figure(title: str, drawing: Drawing, across: str, up: str) -> str:
    """A drawing as an SVG file for a paper: title, names of both axes, legend, on white."""
    width, height = _WIDTH + 24, _HEIGHT + 76
    middle = 24 + _LEFT + (_WIDTH - _LEFT - _RIGHT) / 2
    parts = [
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text class="title" x="{middle}" y="22" text-anchor="middle">{text(title)}</text>',
        f'<text transform="translate(16 138) rotate(-90)" text-anchor="middle">{text(up)}</text>',
        f'<g transform="translate(24 28)">{"".join(drawing.parts)}</g>',
        f'<text x="{middle}" y="{_HEIGHT + 42}" text-anchor="middle">{text(across)}</text>',
        *_legend(drawing.names, 24 + _LEFT, _HEIGHT + 64),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width * 1.5:g}">'
        f"<title>{text(title)}</title><style>{_FIGURE_STYLE}</style>{''.join(parts)}</svg>\n"
    )


def lines(
    series: Mapping[str, Points],
    intervals: Mapping[str, Sequence[Interval]] | None = None,
    x_labels: Sequence[tuple[float, str]] = (),
) -> Drawing:
    """One line a series, its finite points only; no parts where there are none.

    `intervals`: upright lines by a series' name. `x_labels`: names of places on the x axis; where none are
    given, its two ends tell their values.
    """
    shown = {name: [p for p in points if all(map(math.isfinite, p))] for name, points in series.items()}
    shown = {name: points for name, points in shown.items() if points}
    if not shown:
        return Drawing((), ())
    upright = {
        name: [i for i in (intervals or {}).get(name, ()) if all(map(math.isfinite, i))] for name in shown
    }
    return Drawing(tuple(_lines(shown, upright, x_labels)), tuple(shown))


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


def _legend(names: Sequence[str], x: float, y: float) -> list[str]:
    parts = []
    for number, name in enumerate(names):
        parts.append(f'<rect x="{x:g}" y="{y - 9}" width="10" height="10" rx="3" fill="{_colour(number)}"/>')
        parts.append(f'<text x="{x + 15:g}" y="{y}">{text(name)}</text>')
        x += 30 + len(name) * _CHARACTER
    return parts


def _bars(labels: Sequence[str], series: Mapping[str, Sequence[float]], unit: str) -> list[str]:
    ticks = _ticks(0.0, max(max(values) for values in series.values()))
    group = (_WIDTH - _LEFT - _RIGHT) / len(labels)
    width = group * _GROUP_FILL / len(series)
    room = max(map(len, labels)) * _CHARACTER + 12
    named = math.ceil(room / group)  # every how many labels have room
    parts = _rules(ticks)
    for number, label in enumerate(labels):
        left = _LEFT + group * number
        if number % named == 0:
            middle = min(left + group / 2, _WIDTH - room / 2)
            parts.append(_x_label(round(middle, 1), label, "middle"))
        for place, (name, values) in enumerate(series.items()):
            x = left + group * (1 - _GROUP_FILL) / 2 + width * place
            if values[number]:
                told = f"{name}, {label}: {values[number]:.4g}{unit}"
                parts.append(_bar(x, _y(values[number], ticks), width, _colour(place), told))
    return parts


def _bar(x: float, y: float, width: float, colour: str, told: str) -> str:
    height = round(_HEIGHT - _BOTTOM - y, 1)
    shape = f'x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height}" fill="{colour}"'
    return f'<rect class="bar" {shape}><title>{text(told)}</title></rect>'


def _lines(
    series: Mapping[str, Points],
    intervals: Mapping[str, Sequence[Interval]],
    x_labels: Sequence[tuple[float, str]],
) -> list[str]:
    ends = [(x, end) for some in intervals.values() for x, low, high in some for end in (low, high)]
    points = [point for line in series.values() for point in line] + ends
    x_low, x_high = _range([x for x, _ in points])
    ticks = _ticks(*_range([y for _, y in points]))

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / (x_high - x_low) * (_WIDTH - _LEFT - _RIGHT)
        return round(_LEFT + across, 1), _y(y, ticks)

    parts = _rules(ticks)
    if x_labels:
        parts += _x_labels([(place(x, ticks[0])[0], label) for x, label in x_labels])
    else:
        for tick, anchor in ((x_low, "start"), (x_high, "end")):
            parts.append(_x_label(place(tick, ticks[0])[0], f"{tick:g}", anchor))
    for number, (name, line) in enumerate(series.items()):
        aside = (number - (len(series) - 1) / 2) * _APART
        for x, low, high in intervals[name]:
            parts.append(_interval(place(x, low), place(x, high), aside, _colour(number)))
        parts.append(_line([place(x, y) for x, y in line], _colour(number)))
    return parts


def _interval(low: tuple[float, float], high: tuple[float, float], aside: float, colour: str) -> str:
    x = min(max(round(low[0] + aside, 1), _LEFT), _WIDTH - 4)
    shape = f"M{x - 3:g} {low[1]}h6M{x - 3:g} {high[1]}h6M{x} {low[1]}V{high[1]}"
    return f'<path class="interval" stroke="{colour}" d="{shape}"/>'


def _rules(ticks: Sequence[float]) -> list[str]:
    parts = []
    for tick in ticks:
        y = _y(tick, ticks)
        parts.append(f'<line class="rule" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{tick:.4g}</text>')
    return parts


def _x_labels(places: Sequence[tuple[float, str]]) -> list[str]:
    """From the right, those that have room: the last is the one that is looked for."""
    parts: list[str] = []
    free = float(_WIDTH)
    for x, label in reversed(places):
        half = len(label) * _CHARACTER / 2
        middle = min(x, _WIDTH - half)
        if middle + half <= free:
            parts.append(_x_label(round(middle, 1), label, "middle"))
            free = middle - half - 6
    return parts


def _x_label(x: float, label: str, anchor: str) -> str:
    return f'<text x="{x}" y="{_HEIGHT - 8}" text-anchor="{anchor}">{text(label)}</text>'


def _y(value: float, ticks: Sequence[float]) -> float:
    up = (value - ticks[0]) / (ticks[-1] - ticks[0]) * (_HEIGHT - _TOP - _BOTTOM)
    return round(_HEIGHT - _BOTTOM - up, 1)


def _line(points: Points, colour: str) -> str:
    if len(points) == 1:
        return f'<circle cx="{points[0][0]}" cy="{points[0][1]}" r="3" fill="{colour}"/>'
    return f'<polyline stroke="{colour}" points="{" ".join(f"{x},{y}" for x, y in points)}"/>'


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    size = max(abs(low), abs(high))
    if high - low > max(size * 1e-9, 1e-300):
        return low, high
    margin = size * 0.1 if size > 1e-300 else 1.0  # a flat line stands in the middle
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers that span [low, high]."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]
