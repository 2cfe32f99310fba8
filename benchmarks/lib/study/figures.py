"""The entropy study's figures: means over seeds, with Student's 95 % intervals at some positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.lib.study.arms import StudyRun
from benchmarks.lib.study.results import K, estimate
from vlm_uec.telemetry.writers import METRICS, read_jsonl
from vlm_uec.webpage.charts import ErrorBar, Points, draw_lines, figure

GRID = 40  # positions along the x axis
INTERVALS = (10, 20, 30, 39)  # positions with an interval
TOKENS, STEP = "response_tokens/total", "step"
X_LABELS = {TOKENS: "sampled tokens, thousands", STEP: "steps"}
UNITS = {TOKENS: 1000, STEP: 1}
WINDOW = 10  # steps of a running mean, because a step has few prompts
ENTROPY = f"nats a token, mean of {WINDOW} steps"

Rows = Sequence[Mapping[str, Any]]
Curve = Callable[[Rows], Points]  # of a run: (position on the x axis, value)
RowsByArm = Mapping[str, Sequence[Rows]]


@dataclass(frozen=True)
class Figure:
    """Contents of a figure."""

    title: str
    y_label: str
    curves: Mapping[str, tuple[Sequence[Rows], Curve]]  # by name: the runs to average, and their curve
    axis: str = TOKENS
    from_zero: bool = True


def draw_figures(runs: Sequence[StudyRun], base: Mapping[str, float], folder: Path) -> list[Path]:
    """Writes the figures; returns their paths. `base`: the base model's Pass@1 and Pass@K, at 0 tokens."""
    by_arm: dict[str, list[Rows]] = {}
    for run in runs:
        by_arm.setdefault(run.arm, []).append(read_jsonl(run.folder / METRICS))
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in _figures(by_arm, base).items():
        path = folder / f"{name}.svg"
        path.write_text(_svg(content), encoding="utf-8")
        paths.append(path)
    return paths


def _figures(by_arm: RowsByArm, base: Mapping[str, float]) -> dict[str, Figure]:
    # These two come first, so that they have the same colours in all figures.
    both = {arm: by_arm[arm] for arm in ("GRPO", "UEC") if arm in by_arm}
    groups = {
        "": both | {arm: runs for arm, runs in by_arm.items() if "," not in arm},
        "_ablations": both | {arm: runs for arm, runs in by_arm.items() if "no" in arm.split()},
        "_matched": both | {arm: runs for arm, runs in by_arm.items() if "two" in arm.split()},
    }
    figures = {}
    for suffix, arms in groups.items():
        for number, label in (("pass_1", "pass@1"), ("pass_k", f"pass@{K}")):
            curve = _starting_at(base[number], _metric(f"eval/{label}"))
            title = f"{label.capitalize()}, held-out problems"
            figures[number + suffix] = Figure(title, "share", _by_arm(arms, curve), from_zero=False)
    for suffix in ("", "_ablations"):
        curve = _running_mean("entropy/exact", STEP)
        figures["entropy" + suffix] = Figure("Exact entropy", ENTROPY, _by_arm(groups[suffix], curve), STEP)
    uec = by_arm.get("UEC", [])
    sources = ("regular", "exploration", "replay")
    # An arm without exploration cannot rescue prompts; a line at 0 would be misleading.
    exploring = {
        arm: runs
        for arm, runs in groups["_ablations"].items()
        if any(row["uec/explored_responses"] for rows in runs for row in rows)
    }
    return figures | {
        "covariance": Figure(
            "Covariance by source (UEC)",
            f"nats, mean of {WINDOW} steps",
            {source: (uec, _running_mean(f"covariance/{source}")) for source in sources},
        ),
        "rescued": Figure(
            "Difficult prompts rescued", "until now", _by_arm(exploring, _cumulative("uec/rescued_prompts"))
        ),
        "difficult": Figure(
            "Difficult prompts",
            f"of 16, mean of {WINDOW} steps",
            _by_arm(groups[""], _running_mean("uec/difficult_prompts")),
        ),
        "replay_age": Figure(
            "Age of replayed trajectories (UEC)", "steps", {"UEC": (uec, _metric("uec/replay_age"))}
        ),
    }


def _by_arm(arms: RowsByArm, curve: Curve) -> dict[str, tuple[Sequence[Rows], Curve]]:
    return {arm: (runs, curve) for arm, runs in arms.items()}


def _svg(content: Figure) -> str:
    series: dict[str, Points] = {}
    intervals: dict[str, list[ErrorBar]] = {}
    for name, (runs, curve) in content.curves.items():
        series[name], intervals[name] = mean_curve([curve(rows) for rows in runs], UNITS[content.axis])
    drawing = draw_lines(series, intervals, from_zero=content.from_zero)
    return figure(content.title, drawing, X_LABELS[content.axis], content.y_label)


def mean_curve(curves: Sequence[Points], unit: float) -> tuple[Points, list[ErrorBar]]:
    """Mean of the runs' curves and intervals at a few positions; x in whole `unit`s.

    The curves are interpolated at equal positions in the range that all of them cover.
    """
    curves = [points for points in curves if points]
    if not curves:
        return [], []
    first, last = max(c[0][0] for c in curves), min(c[-1][0] for c in curves)
    grid = np.linspace(first, max(first, last), GRID)
    values = [np.interp(grid, [x for x, _ in points], [y for _, y in points]) for points in curves]
    estimates = [estimate([float(value[index]) for value in values]) for index in range(GRID)]
    means = [(float(round(x / unit)), one.mean) for x, one in zip(grid, estimates, strict=True)]
    return means, [(means[index][0], estimates[index].low, estimates[index].high) for index in INTERVALS]


def _metric(name: str, axis: str = TOKENS) -> Curve:
    return lambda rows: [(row[axis], row[name]) for row in rows if row.get(name) is not None]


def _starting_at(start: float, curve: Curve) -> Curve:
    return lambda rows: [(0, start), *curve(rows)]


def _running_mean(name: str, axis: str = TOKENS) -> Curve:
    """Running means over complete windows."""

    def curve(rows: Rows) -> Points:
        points = _metric(name, axis)(rows)
        spans = [points[end - WINDOW : end] for end in range(WINDOW, len(points) + 1)]
        return [(span[-1][0], fmean(value for _, value in span)) for span in spans]

    return curve


def _cumulative(name: str) -> Curve:
    def curve(rows: Rows) -> Points:
        totals = np.cumsum([row[name] for row in rows])
        return [(row[TOKENS], float(total)) for row, total in zip(rows, totals, strict=True)]

    return curve
