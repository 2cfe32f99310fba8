"""Shares that add up, as areas on top of each other over a run's steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from vlm_uec.webpage.axes import Frame, colour_of
from vlm_uec.webpage.charts import Drawing
from vlm_uec.webpage.curves import labels_of
from vlm_uec.webpage.html import text

MAX_STRETCHES = 80


def area_chart(xs: Sequence[float], series: Mapping[str, Sequence[float]]) -> Drawing:
    """One area a series, the first at the bottom; hovering over one tells its name.

    `xs`: steps, growing, each with a finite value of at least 0 of every series. Of more than `MAX_STRETCHES`
    places, the means of as many equal stretches are drawn.
    """
    if not xs or not any(map(any, series.values())):
        return Drawing((), ())
    places = _means(xs)
    layers = [_means(values) for values in series.values()]
    tops = [[0.0] * len(places)]
    for layer in layers:
        tops.append([below + height for below, height in zip(tops[-1], layer, strict=True)])
    if len(places) == 1:  # an area needs two sides
        places, tops = [places[0] - 0.5, places[0] + 0.5], [[*top, *top] for top in tops]
    frame = Frame.of([(x, y) for top in (tops[0], tops[-1]) for x, y in zip(places, top, strict=True)])
    parts = frame.rules() + labels_of(frame, whole=True)
    for number, name in enumerate(series):
        upper, lower = (list(zip(places, tops[layer], strict=True)) for layer in (number + 1, number))
        outline = " ".join(f"{x:g},{y:g}" for x, y in (frame.place(*at) for at in [*upper, *lower[::-1]]))
        shape = f'fill="{colour_of(number)}" points="{outline}"'
        parts.append(f'<polygon class="bar" {shape}><title>{text(name)}</title></polygon>')
    return Drawing(tuple(parts), tuple(series))


def _means(values: Sequence[float]) -> list[float]:
    count = min(len(values), MAX_STRETCHES)
    edges = [number * len(values) // count for number in range(count + 1)]
    return [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]
