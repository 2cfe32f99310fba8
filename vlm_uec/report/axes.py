"""What the x axis of a report's charts can count, and how a reader chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vlm_uec.report.runs import TOKENS, RunData, number
from vlm_uec.webpage.axes import Points
from vlm_uec.webpage.filters import Filter


@dataclass(frozen=True)
class Axis:
    """A metric that only grows."""

    metric: str
    name: str  # of the choice
    unit: str  # of a place on it


AXES = (
    Axis("step", "steps", "step"),
    Axis(TOKENS, "sampled tokens", "tokens"),
    Axis("hours", "hours", "hours"),
)


def axes_of(runs: Sequence[RunData]) -> list[Axis]:
    """Those that every run with a step tells; steps in any case."""
    told = [run for run in runs if run.rows]
    return [
        axis for axis in AXES if axis is AXES[0] or (told and all(run.values(axis.metric) for run in told))
    ]


def points_of(run: RunData, metric: str, axis: Axis) -> Points:
    """The metric's finite values over the axis, in its order."""
    places = ((number(row.get(axis.metric)), value) for row, value in run.values(metric))
    return sorted((x, value) for x, value in places if x is not None)


def axis_choice(axes: Sequence[Axis]) -> Filter:
    return Filter("axis", "x axis", [(axis.name, None) for axis in axes])


def axis_style(axes: Sequence[Axis]) -> str:
    """Of each chart's drawings, one an axis, the chosen one is seen."""
    shown = ", ".join(f"body:has(#axis-{place}:checked) .axis-{place}" for place in range(len(axes)))
    return f".axis {{ display: none; }}\n{shown} {{ display: block; }}\n"
