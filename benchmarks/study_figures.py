"""The entropy study's figures: means over seeds, against sampled tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from benchmarks.study_results import K
from benchmarks.study_runs import StudyRun
from vlm_uec.telemetry.charts import Points, figure, lines
from vlm_uec.telemetry.writers import METRICS, read_jsonl

GRID = 40  # places along the tokens
TOKENS = "response_tokens/total"
ACROSS = "sampled tokens, thousands"

Rows = Sequence[Mapping[str, Any]]
Curve = Callable[[Rows], Points]  # of a run: (tokens, value)


def draw(runs: Sequence[StudyRun], folder: Path) -> list[Path]:
    """Writes the figures; their paths."""
    rows = {run: read_jsonl(run.folder / METRICS) for run in runs}
    by_arm: dict[str, list[Rows]] = {}
    for run, told in rows.items():
        by_arm.setdefault(run.arm, []).append(told)
    whole = {arm: told for arm, told in by_arm.items() if "," not in arm}
    parts = {arm: told for arm, told in by_arm.items() if arm.startswith("UEC, no") or arm in ("GRPO", "UEC")}
    uec = by_arm.get("UEC", [])
    sources = dict.fromkeys(("regular", "exploration", "replay"), uec)
    drawings = {
        "entropy": ("Exact entropy", "nats a token", _each(whole, _smooth("entropy/exact"))),
        "entropy_ablations": (
            "Exact entropy, without parts",
            "nats a token",
            _each(parts, _smooth("entropy/exact")),
        ),
        "pass_1": ("Pass@1, held-out problems", "share", _each(whole, _plain("eval/pass@1"))),
        "pass_k": (f"Pass@{K}, held-out problems", "share", _each(whole, _plain(f"eval/pass@{K}"))),
        "pass_1_ablations": ("Pass@1, without parts", "share", _each(parts, _plain("eval/pass@1"))),
        "pass_k_ablations": (f"Pass@{K}, without parts", "share", _each(parts, _plain(f"eval/pass@{K}"))),
        "covariance": (
            "Covariance by source (UEC)",
            "nats",
            {source: _mean(told, _smooth(f"covariance/{source}")) for source, told in sources.items()},
        ),
        "rescued": ("Difficult prompts rescued", "until now", _each(parts, _summed("uec/rescued_prompts"))),
        "difficult": ("Difficult prompts", "a step, of 16", _each(whole, _smooth("uec/difficult_prompts"))),
        "replay_age": (
            "Age of replayed trajectories (UEC)",
            "steps",
            {"UEC": _mean(uec, _plain("uec/replay_age"))},
        ),
    }
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, (title, up, series) in drawings.items():
        path = folder / f"{name}.svg"
        path.write_text(figure(title, lines(series), ACROSS, up), encoding="utf-8")
        paths.append(path)
    return paths


def _each(arms: Mapping[str, Sequence[Rows]], curve: Curve) -> dict[str, Points]:
    return {arm: _mean(told, curve) for arm, told in arms.items()}


def _mean(told: Sequence[Rows], curve: Curve) -> Points:
    """Runs' curves, each read at the same places between its first point and its last, and averaged."""
    curves = [points for points in map(curve, told) if points]
    if not curves:
        return []
    first, last = max(c[0][0] for c in curves), min(c[-1][0] for c in curves)
    grid = np.linspace(first, max(first, last), GRID)
    values = [np.interp(grid, [x for x, _ in points], [y for _, y in points]) for points in curves]
    return [(x / 1000, float(y)) for x, y in zip(grid, np.mean(values, axis=0), strict=True)]


def _plain(name: str) -> Curve:
    return lambda rows: [(row[TOKENS], row[name]) for row in rows if row.get(name) is not None]


def _smooth(name: str, window: int = 10) -> Curve:
    """Running means: a step has few prompts."""

    def curve(rows: Rows) -> Points:
        points = _plain(name)(rows)
        spans = [points[max(0, end - window) : end] for end in range(1, len(points) + 1)]
        return [(span[-1][0], fmean(value for _, value in span)) for span in spans]

    return curve


def _summed(name: str) -> Curve:
    def curve(rows: Rows) -> Points:
        totals = np.cumsum([row[name] for row in rows])
        return [(row[TOKENS], float(total)) for row, total in zip(rows, totals, strict=True)]

    return curve
