"""The x axes of a report's charts, and the filter that selects one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vlm_uec.report.runs import TOKENS, RunData, number
from vlm_uec.webpage.axes import Points
from vlm_uec.webpage.filters import Filter


@dataclass(frozen=True)
class Axis:
    """A metric that never decreases, as x axis."""

    metric: str
    name: str  # in the filter
    unit: str  # in tooltips


AXES = (
    Axis("step", "steps", "step"),
    Axis(TOKENS, "sampled tokens", "tokens"),
    Axis("hours", "hours", "hours"),
)


def available_axes(runs: Sequence[RunData]) -> list[Axis]:
    """Steps, and the other axes whose metric every non-empty run has."""
    started = [run for run in runs if run.rows]
    return [
        axis
        for axis in AXES
        if axis is AXES[0] or (started and all(run.values(axis.metric) for run in started))
    ]


def points_of(run: RunData, metric: str, axis: Axis) -> Points:
    """The metric's finite values over the axis, in ascending order of x."""
    pairs = ((number(row.get(axis.metric)), value) for row, value in run.values(metric))
    return sorted((x, value) for x, value in pairs if x is not None)


def axis_filter(axes: Sequence[Axis]) -> Filter:
    return Filter("axis", "x axis", [(axis.name, None) for axis in axes])


def axis_style(axes: Sequence[Axis]) -> str:
    """CSS that shows the drawing of the selected axis in each chart."""
    shown = ", ".join(f"body:has(#axis-{index}:checked) .axis-{index}" for index in range(len(axes)))
    return f".axis {{ display: none; }}\n{shown} {{ display: block; }}\n"
