"""Stacked areas over a run's steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from vlm_uec.webpage.axes import Frame, colour_of
from vlm_uec.webpage.charts import Drawing
from vlm_uec.webpage.curves import x_tick_labels
from vlm_uec.webpage.html import text

MAX_SEGMENTS = 80


def area_chart(xs: Sequence[float], series: Mapping[str, Sequence[float]]) -> Drawing:
    """One area per series, the first at the bottom; the tooltip of an area is the name of its series.

    `xs`: steps in ascending order; each has a finite, non-negative value in every series. More than
    `MAX_SEGMENTS` steps are averaged over `MAX_SEGMENTS` equal segments.
    """
    if not xs or not any(map(any, series.values())):
        return Drawing((), ())
    positions = _segment_means(xs)
    layers = [_segment_means(values) for values in series.values()]
    tops = [[0.0] * len(positions)]
    for layer in layers:
        tops.append([below + height for below, height in zip(tops[-1], layer, strict=True)])
    if len(positions) == 1:  # a polygon needs two x positions
        positions, tops = [positions[0] - 0.5, positions[0] + 0.5], [[*top, *top] for top in tops]
    frame = Frame.of([(x, y) for top in (tops[0], tops[-1]) for x, y in zip(positions, top, strict=True)])
    parts = frame.grid_lines() + x_tick_labels(frame, integers_only=True)
    for number, name in enumerate(series):
        upper, lower = (list(zip(positions, tops[layer], strict=True)) for layer in (number + 1, number))
        outline = " ".join(f"{x:g},{y:g}" for x, y in (frame.pixel(*at) for at in [*upper, *lower[::-1]]))
        shape = f'fill="{colour_of(number)}" points="{outline}"'
        parts.append(f'<polygon class="bar" {shape}><title>{text(name)}</title></polygon>')
    return Drawing(tuple(parts), tuple(series))


def _segment_means(values: Sequence[float]) -> list[float]:
    count = min(len(values), MAX_SEGMENTS)
    edges = [number * len(values) // count for number in range(count + 1)]
    return [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]
