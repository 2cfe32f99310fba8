"""The entropy study's figures: means over seeds, with Student's 95 % intervals over them at some places."""

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
from vlm_uec.webpage.charts import Interval, Points, figure, lines

GRID = 40  # places along the x axis
INTERVALS = (10, 20, 30, 39)  # those with an interval
TOKENS, STEP = "response_tokens/total", "step"
ACROSS = {TOKENS: "sampled tokens, thousands", STEP: "steps"}
UNITS = {TOKENS: 1000, STEP: 1}
WINDOW = 10  # steps of a running mean: one step has few prompts
ENTROPY = f"nats a token, mean of {WINDOW} steps"

Rows = Sequence[Mapping[str, Any]]
Curve = Callable[[Rows], Points]  # of a run: (place on the x axis, value)
Arms = Mapping[str, Sequence[Rows]]


@dataclass(frozen=True)
class Figure:
    """What one shows."""

    title: str
    up: str
    curves: Mapping[str, tuple[Sequence[Rows], Curve]]  # by name: runs to be averaged, and what of them
    axis: str = TOKENS
    from_zero: bool = True


def draw(runs: Sequence[StudyRun], base: Mapping[str, float], folder: Path) -> list[Path]:
    """Writes the figures; their paths. `base`: the base model's Pass@1 and Pass@K, from where runs begin."""
    by_arm: dict[str, list[Rows]] = {}
    for run in runs:
        by_arm.setdefault(run.arm, []).append(read_jsonl(run.folder / METRICS))
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, shown in _figures(by_arm, base).items():
        path = folder / f"{name}.svg"
        path.write_text(_drawn(shown), encoding="utf-8")
        paths.append(path)
    return paths


def _figures(by_arm: Arms, base: Mapping[str, float]) -> dict[str, Figure]:
    # These two first, and so in the same colours everywhere.
    both = {arm: by_arm[arm] for arm in ("GRPO", "UEC") if arm in by_arm}
    groups = {
        "": both | {arm: told for arm, told in by_arm.items() if "," not in arm},
        "_ablations": both | {arm: told for arm, told in by_arm.items() if "no" in arm.split()},
        "_matched": both | {arm: told for arm, told in by_arm.items() if "two" in arm.split()},
    }
    figures = {}
    for suffix, arms in groups.items():
        for number, label in (("pass_1", "pass@1"), ("pass_k", f"pass@{K}")):
            curve = _from(base[number], _plain(f"eval/{label}"))
            title = f"{label.capitalize()}, held-out problems"
            figures[number + suffix] = Figure(title, "share", _of(arms, curve), from_zero=False)
    for suffix in ("", "_ablations"):
        curve = _smooth("entropy/exact", STEP)
        figures["entropy" + suffix] = Figure("Exact entropy", ENTROPY, _of(groups[suffix], curve), STEP)
    uec = by_arm.get("UEC", [])
    sources = ("regular", "exploration", "replay")
    # Of an arm that never explores a line at 0 would say that it rescued nothing.
    explores = {
        arm: told
        for arm, told in groups["_ablations"].items()
        if any(row["uec/explored_responses"] for rows in told for row in rows)
    }
    return figures | {
        "covariance": Figure(
            "Covariance by source (UEC)",
            f"nats, mean of {WINDOW} steps",
            {source: (uec, _smooth(f"covariance/{source}")) for source in sources},
        ),
        "rescued": Figure(
            "Difficult prompts rescued", "until now", _of(explores, _summed("uec/rescued_prompts"))
        ),
        "difficult": Figure(
            "Difficult prompts",
            f"of 16, mean of {WINDOW} steps",
            _of(groups[""], _smooth("uec/difficult_prompts")),
        ),
        "replay_age": Figure(
            "Age of replayed trajectories (UEC)", "steps", {"UEC": (uec, _plain("uec/replay_age"))}
        ),
    }


def _of(arms: Arms, curve: Curve) -> dict[str, tuple[Sequence[Rows], Curve]]:
    return {arm: (told, curve) for arm, told in arms.items()}


def _drawn(shown: Figure) -> str:
    series: dict[str, Points] = {}
    intervals: dict[str, list[Interval]] = {}
    for name, (told, curve) in shown.curves.items():
        series[name], intervals[name] = average([curve(rows) for rows in told], UNITS[shown.axis])
    drawing = lines(series, intervals, from_zero=shown.from_zero)
    return figure(shown.title, drawing, ACROSS[shown.axis], shown.up)


def average(curves: Sequence[Points], unit: float) -> tuple[Points, list[Interval]]:
    """Runs' curves, each read at the same places between the last first point and the first last one: their
    mean, and intervals at a few of the places. x is told in whole `unit`s."""
    curves = [points for points in curves if points]
    if not curves:
        return [], []
    first, last = max(c[0][0] for c in curves), min(c[-1][0] for c in curves)
    grid = np.linspace(first, max(first, last), GRID)
    values = [np.interp(grid, [x for x, _ in points], [y for _, y in points]) for points in curves]
    found = [estimate([float(value[place]) for value in values]) for place in range(GRID)]
    means = [(float(round(x / unit)), one.mean) for x, one in zip(grid, found, strict=True)]
    return means, [(means[place][0], found[place].low, found[place].high) for place in INTERVALS]


def _plain(name: str, axis: str = TOKENS) -> Curve:
    return lambda rows: [(row[axis], row[name]) for row in rows if row.get(name) is not None]


def _from(start: float, curve: Curve) -> Curve:
    return lambda rows: [(0, start), *curve(rows)]


def _smooth(name: str, axis: str = TOKENS) -> Curve:
    """Running means, from the first whole one on."""

    def curve(rows: Rows) -> Points:
        points = _plain(name, axis)(rows)
        spans = [points[end - WINDOW : end] for end in range(WINDOW, len(points) + 1)]
        return [(span[-1][0], fmean(value for _, value in span)) for span in spans]

    return curve


def _summed(name: str) -> Curve:
    def curve(rows: Rows) -> Points:
        totals = np.cumsum([row[name] for row in rows])
        return [(row[TOKENS], float(total)) for row, total in zip(rows, totals, strict=True)]

    return curve
