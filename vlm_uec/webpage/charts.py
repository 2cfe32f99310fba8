"""SVG charts: lines with error bars, and grouped bars, on a card of a page or as a separate file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlm_uec.webpage.axes import (
    BOTTOM,
    CHARACTER_WIDTH,
    HEIGHT,
    LEFT,
    RIGHT,
    WIDTH,
    Frame,
    Points,
    axis_label,
    colour_of,
    fitting_labels,
    grid_lines,
    linear_ticks,
    pixel_y,
)
from vlm_uec.webpage.html import Html, element, text

ErrorBar = tuple[float, float, float]  # x, low, high

_GROUP_FILL = 0.8  # share of a group's width that its bars fill
_INTERVAL_OFFSET = 5  # between the error bars of two series at the same x, in SVG units
_FIGURE_STYLE = """
text { font: 11px system-ui, sans-serif; fill: #444; } .title { font-size: 14px; font-weight: 600; }
.rule { stroke: #ddd; } .interval { fill: none; stroke-width: 1.4; opacity: 0.7; }
polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
"""


@dataclass(frozen=True)
class Drawing:
    """SVG elements in a 460 x 220 view box, and the names of the series in order of their colours."""

    parts: tuple[str, ...]
    names: tuple[str, ...]


def line_chart(title: str, series: Mapping[str, Points]) -> Html:
    """A card with one line per series; non-finite points are omitted."""
    return card(title, draw_lines(series))


def bar_chart(title: str, labels: Sequence[str], series: Mapping[str, Sequence[float]], unit: str) -> Html:
    """A card with one group of bars per label, drawn by `draw_bars`."""
    return card(title, draw_bars(labels, series, unit))


def card(title: str, drawing: Drawing) -> Html:
    """A card with title, drawing and legend."""
    if not drawing.parts:
        return element("div", element("h3", text(title)), element("p", text("nothing recorded")), kind="card")
    keys = [legend_key(number, name) for number, name in enumerate(drawing.names)]
    body = (element("h3", text(title)), svg(drawing.parts), element("div", *keys, kind="legend"))
    return element("div", *body, kind="card")


def svg(parts: Sequence[str]) -> Html:
    """The `<svg>` element of a chart."""
    return Html(f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>')


def legend_key(number: int, name: str) -> Html:
    """Colour and name of series `number`."""
    return Html(f'<span><i style="background:{colour_of(number)}"></i>{text(name)}</span>')


def figure(title: str, drawing: Drawing, x_name: str, y_name: str) -> str:
    """A drawing as an SVG file for a paper: title, axis names and legend on a white background."""
    legend, below = _legend(drawing.names, 24 + LEFT, HEIGHT + 64, WIDTH + 24)
    width, height = WIDTH + 24, below + 12
    middle = 24 + LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts = [
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text class="title" x="{middle}" y="22" text-anchor="middle">{text(title)}</text>',
        f'<text transform="translate(16 138) rotate(-90)" text-anchor="middle">{text(y_name)}</text>',
        f'<g transform="translate(24 28)">{"".join(drawing.parts)}</g>',
        f'<text x="{middle}" y="{HEIGHT + 42}" text-anchor="middle">{text(x_name)}</text>',
        *legend,
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width * 1.5:g}">'
        f"<title>{text(title)}</title><style>{_FIGURE_STYLE}</style>{''.join(parts)}</svg>\n"
    )


def draw_lines(
    series: Mapping[str, Points],
    intervals: Mapping[str, Sequence[ErrorBar]] | None = None,
    x_labels: Sequence[tuple[float, str]] = (),
    *,
    from_zero: bool = False,
) -> Drawing:
    """One line per series; non-finite points are omitted. Without any finite point the drawing is empty.

    `intervals`: error bars by series name. `x_labels`: positions and labels on the x axis; by default its two
    ends are labelled with their values. `from_zero`: the y axis includes 0, so that heights can be compared.
    """
    shown = {name: [p for p in points if all(map(math.isfinite, p))] for name, points in series.items()}
    shown = {name: points for name, points in shown.items() if points}
    if not shown:
        return Drawing((), ())
    error_bars = {
        name: [i for i in (intervals or {}).get(name, ()) if all(map(math.isfinite, i))] for name in shown
    }
    return Drawing(tuple(_line_parts(shown, error_bars, x_labels, from_zero)), tuple(shown))


def draw_bars(labels: Sequence[str], series: Mapping[str, Sequence[float]], unit: str) -> Drawing:
    """One group of bars per label, with one bar per series; the tooltip of a bar is its value.

    Each series has one value per label; a value that is not finite and positive has no bar. Raises
    `ValueError` if the length of a series differs from the number of labels.
    """
    if any(len(values) != len(labels) for values in series.values()):
        raise ValueError(f"a series does not have one value for each of {len(labels)} labels")
    heights = {
        name: [value if 1e-300 < value < math.inf else 0.0 for value in values]
        for name, values in series.items()
    }
    parts = _bar_parts(labels, heights, unit) if any(map(any, heights.values())) else []
    return Drawing(tuple(parts), tuple(series))


def _legend(names: Sequence[str], left: float, y: int, right: float) -> tuple[list[str], int]:
    """Legend from (left, y), wrapped at `right`. Returns its parts and the y of the last line."""
    parts, x = [], left
    for number, name in enumerate(names):
        if x > left and x + 15 + len(name) * CHARACTER_WIDTH > right:
            x, y = left, y + 18
        parts.append(
            f'<rect x="{x:g}" y="{y - 9}" width="10" height="10" rx="3" fill="{colour_of(number)}"/>'
        )
        parts.append(f'<text x="{x + 15:g}" y="{y}">{text(name)}</text>')
        x += 30 + len(name) * CHARACTER_WIDTH
    return parts, y


def _bar_parts(labels: Sequence[str], series: Mapping[str, Sequence[float]], unit: str) -> list[str]:
    ticks = linear_ticks(0.0, max(max(values) for values in series.values()))
    group = (WIDTH - LEFT - RIGHT) / len(labels)
    width = group * _GROUP_FILL / len(series)
    label_width = max(map(len, labels)) * CHARACTER_WIDTH + 12
    label_step = math.ceil(label_width / group)  # every label_step-th label fits
    parts = grid_lines(ticks)
    for number, label in enumerate(labels):
        left = LEFT + group * number
        if number % label_step == 0:
            middle = min(left + group / 2, WIDTH - label_width / 2)
            parts.append(axis_label(round(middle, 1), label, "middle"))
        for index, (name, values) in enumerate(series.items()):
            x = left + group * (1 - _GROUP_FILL) / 2 + width * index
            if values[number]:
                tooltip = f"{name}, {label}: {values[number]:.4g}{unit}"
                parts.append(_bar(x, pixel_y(values[number], ticks), width, colour_of(index), tooltip))
    return parts


def _bar(x: float, y: float, width: float, colour: str, tooltip: str) -> str:
    height = round(HEIGHT - BOTTOM - y, 1)
    shape = f'x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height}" fill="{colour}"'
    return f'<rect class="bar" {shape}><title>{text(tooltip)}</title></rect>'


def _line_parts(
    series: Mapping[str, Points],
    intervals: Mapping[str, Sequence[ErrorBar]],
    x_labels: Sequence[tuple[float, str]],
    from_zero: bool,
) -> list[str]:
    ends = [(x, end) for bars in intervals.values() for x, low, high in bars for end in (low, high)]
    points = [point for line in series.values() for point in line] + ends
    if from_zero:
        points.append((points[0][0], 0.0))
    frame = Frame.of(points)
    parts = frame.grid_lines()
    if x_labels:
        parts += fitting_labels([(frame.pixel_x(x), label) for x, label in x_labels])
    else:
        for end, anchor in ((frame.x_low, "start"), (frame.x_high, "end")):
            parts.append(axis_label(frame.pixel_x(end), f"{end:g}", anchor))
    for number, (name, line) in enumerate(series.items()):
        offset = (number - (len(series) - 1) / 2) * _INTERVAL_OFFSET
        for x, low, high in intervals[name]:
            parts.append(_interval(frame.pixel(x, low), frame.pixel(x, high), offset, colour_of(number)))
        parts.append(_line([frame.pixel(x, y) for x, y in line], colour_of(number)))
    return parts


def _interval(low: tuple[float, float], high: tuple[float, float], offset: float, colour: str) -> str:
    x = min(max(round(low[0] + offset, 1), LEFT), WIDTH - 4)
    shape = f"M{x - 3:g} {low[1]}h6M{x - 3:g} {high[1]}h6M{x} {low[1]}V{high[1]}"
    return f'<path class="interval" stroke="{colour}" d="{shape}"/>'


def _line(points: Points, colour: str) -> str:
    if len(points) == 1:
        return f'<circle cx="{points[0][0]}" cy="{points[0][1]}" r="3" fill="{colour}"/>'
    return f'<polyline stroke="{colour}" points="{" ".join(f"{x},{y}" for x, y in points)}"/>'
