"""The project's one way to make HTML: offline pages, tables, charts, pictures. Everything is escaped."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import NewType

Html = NewType("Html", str)  # markup that is safe to put on a page; plain str is escaped

Points = Sequence[tuple[float, float]]

_COLOURS = ("#3b6fd4", "#d9722e", "#2f9e6e", "#b0469c", "#8a6d1f", "#5b5f97", "#c43d4b", "#3a98a8", "#777777")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 460, 220, 52, 10, 12, 26
_PICTURE_KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}
_GROUP_FILL = 0.8  # of a group's width
_CHARACTER = 6.3  # the width of one in a label
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2330; --dim: #667085; --line: #e3e6ec;
  --card: #fff; --page: #f6f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7e9ee; --dim: #98a1b2; --line: #333a48; --card: #1b2029; --page: #12151b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1500px; padding: 28px; background: var(--page); color: var(--ink);
  font: 14px/1.5 system-ui, sans-serif; }
h1 { font-size: 24px; margin: 0; } h2 { font-size: 17px; margin: 34px 0 12px; }
h3 { font-size: 14px; margin: 0 0 6px; }
p { color: var(--dim); margin: 4px 0 0; overflow-wrap: anywhere; }
.grid { display: grid; gap: 16px; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); }
.stack { display: grid; gap: 16px; grid-template-columns: minmax(0, 1fr); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px;
  overflow-x: auto; }
.tile b { display: block; font-size: 22px; } .tile span { color: var(--dim); }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin-top: 18px; } .tile { min-width: 150px; }
svg { width: 100%; height: auto; display: block; } svg text { font-size: 11px; fill: var(--dim); }
svg .rule { stroke: var(--line); } svg .bar:hover { opacity: 0.75; }
svg polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; color: var(--dim); font-size: 12px; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 5px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 6px 10px; border-top: 1px solid var(--line); }
th { color: var(--dim); font-weight: 600; border-top: 0; white-space: nowrap; }
.numbers td, .numbers th { padding: 5px 7px; }
.numbers td:first-child { overflow-wrap: anywhere; }
.numbers td:not(:first-child), .numbers th:not(:first-child) { text-align: right; white-space: nowrap; }
td pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 180px;
  overflow-y: auto; font-size: 12px; }
.gallery { display: grid; gap: 14px; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); }
.pictures { display: flex; flex-wrap: wrap; gap: 8px; margin-bottom: 10px; }
img { flex: 1 1 40%; min-width: 0; height: 190px; object-fit: contain; padding: 6px; border-radius: 6px;
  background: #fff; border: 1px solid var(--line); }
.gallery p { margin: 0 0 6px; white-space: pre-line; } .gallery .said { color: var(--ink); }
.gallery .name { font: 12px ui-monospace, monospace; }
.chips { display: flex; flex-wrap: wrap; gap: 6px; font-size: 12px; }
.chips span { padding: 1px 8px; border: 1px solid var(--line); border-radius: 9px; color: var(--dim);
  overflow-wrap: anywhere; }
details { margin-bottom: 10px; } summary { cursor: pointer; font-weight: 600; }
.stack details { margin: 0; } .stack summary { margin-bottom: 6px; }
"""


def page(title: str, body: Iterable[Html]) -> str:
    """A whole document with nothing to load: the content policy forbids scripts and the network."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def element(tag: str, *content: str | Html, kind: str = "") -> Html:
    """`<tag class=kind>content</tag>` where the content is markup made by this module."""
    attribute = f' class="{escape(kind)}"' if kind else ""
    return Html(f"<{tag}{attribute}>{''.join(content)}</{tag}>")


def text(value: object) -> Html:
    """Any value as escaped text; numbers short, None as a dash."""
    if value is None:
        return Html("–")
    return Html(escape(f"{value:.4g}" if isinstance(value, float) else str(value)))


def table(headers: Sequence[str], rows: Iterable[Sequence[Html]]) -> Html:
    """A table of cells made by `text` or `element`."""
    head = element("tr", *(element("th", text(header)) for header in headers))
    return element("table", head, *(element("tr", *(element("td", cell) for cell in row)) for row in rows))


def picture(data: bytes, description: str) -> Html:
    """PNG or JPEG bytes as a picture that is part of the page. Raises `ValueError` on other bytes."""
    kind = next((kind for signature, kind in _PICTURE_KINDS.items() if data.startswith(signature)), None)
    if kind is None:
        raise ValueError("a picture on a page is PNG or JPEG")
    source = f"data:image/{kind};base64,{b64encode(data).decode()}"
    return Html(f'<img alt="{escape(description)}" src="{source}"/>')


def line_chart(title: str, series: Mapping[str, Points]) -> Html:
    """A card with one line a series, its finite points only."""
    shown = {name: [p for p in points if all(map(math.isfinite, p))] for name, points in series.items()}
    shown = {name: points for name, points in shown.items() if points}
    return _chart_card(title, list(shown), _lines(shown) if shown else None)


def bar_chart(title: str, labels: Sequence[str], series: Mapping[str, Sequence[float]], unit: str) -> Html:
    """A card with a group of bars a label, in it a bar a series; hovering over one tells its value.

    Each series has one value a label; what is not finite and above 0 has no bar. Raises `ValueError` where a
    series is longer or shorter.
    """
    if any(len(values) != len(labels) for values in series.values()):
        raise ValueError(f"{title}: a series has not one value for each of {len(labels)} labels")
    bars = {
        name: [value if 1e-300 < value < math.inf else 0.0 for value in values]
        for name, values in series.items()
    }
    drawing = _bars(labels, bars, unit) if any(map(any, bars.values())) else None
    return _chart_card(title, list(series), drawing)


def _chart_card(title: str, names: Sequence[str], drawing: Html | None) -> Html:
    if drawing is None:
        return element("div", element("h3", text(title)), element("p", text("nothing recorded")), kind="card")
    legend = [
        Html(f'<span><i style="background:{_colour(i)}"></i>{text(name)}</span>')
        for i, name in enumerate(names)
    ]
    body = (element("h3", text(title)), drawing, element("div", *legend, kind="legend"))
    return element("div", *body, kind="card")


def _bars(labels: Sequence[str], series: Mapping[str, Sequence[float]], unit: str) -> Html:
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
    return _drawing(parts)


def _bar(x: float, y: float, width: float, colour: str, told: str) -> str:
    height = round(_HEIGHT - _BOTTOM - y, 1)
    shape = f'x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height}" fill="{colour}"'
    return f'<rect class="bar" {shape}><title>{text(told)}</title></rect>'


def _lines(series: Mapping[str, Points]) -> Html:
    points = [point for line in series.values() for point in line]
    x_low, x_high = _range([x for x, _ in points])
    ticks = _ticks(*_range([y for _, y in points]))

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / (x_high - x_low) * (_WIDTH - _LEFT - _RIGHT)
        return round(_LEFT + across, 1), _y(y, ticks)

    parts = _rules(ticks)
    for tick, anchor in ((x_low, "start"), (x_high, "end")):
        parts.append(_x_label(place(tick, ticks[0])[0], f"{tick:g}", anchor))
    for number, line in enumerate(series.values()):
        parts.append(_line([place(x, y) for x, y in line], _colour(number)))
    return _drawing(parts)


def _drawing(parts: Sequence[str]) -> Html:
    return Html(f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{"".join(parts)}</svg>')


def _rules(ticks: Sequence[float]) -> list[str]:
    parts = []
    for tick in ticks:
        y = _y(tick, ticks)
        parts.append(f'<line class="rule" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{tick:.4g}</text>')
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
