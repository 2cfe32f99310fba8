"""`python -m vlm_uec.telemetry.report RUN_DIR`: the run as one HTML file that opens offline."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vlm_uec.errors import UserError
from vlm_uec.telemetry.charts import Points, line_chart
from vlm_uec.telemetry.html import Html, element, page, table, text, tile
from vlm_uec.telemetry.writers import METRICS, read_jsonl

Rows = Sequence[Mapping[str, Any]]

MAX_SAMPLES = 40  # a step: enough to read, and the page stays small
MAX_STEPS = 30
MAX_RESPONSE = 4000  # characters

CHARTS: dict[str, tuple[str, ...]] = {
    "Reward of regular rollouts": ("reward/accuracy", "reward/format"),
    "Entropy: exact, and its estimate": ("entropy/exact", "entropy/estimate"),
    "Covariance by source (below 0 raises entropy)": (
        "covariance/regular",
        "covariance/exploration",
        "covariance/replay",
    ),
    "Difficult prompts, and those rescued": ("uec/difficult_prompts", "uec/rescued_prompts"),
    "Exploration and retention": (
        "uec/explored_responses",
        "uec/retained_regular",
        "uec/retained_exploration",
        "uec/dropped_overlong",
    ),
    "Buffers": ("uec/pending", "uec/replay_size"),
    "Age of replayed trajectories, in steps": ("uec/replay_age",),
    "Response tokens": ("response_tokens/mean", "response_tokens/max"),
    "Truncated responses": ("truncated_fraction",),
    "Loss": ("loss/policy", "loss/kl"),
    "KL to the reference": ("kl/reference",),
    "Clipping": ("clip_fraction/low", "clip_fraction/high"),
    "Gradient norm": ("grad_norm",),
    "Tokens per second": ("tokens_per_second",),
}
TILES = ("reward/accuracy", "entropy/exact", "tokens_per_second")


def write_report(run_dir: Path) -> Path:
    """Write `run_dir/report.html` from what the run has so far; returns its path.

    Raises UserError where the directory or its metrics are missing or unreadable.
    """
    if not (run_dir / METRICS).is_file():
        raise UserError(f"{run_dir} is no run directory: it has no {METRICS}")
    rows = read_jsonl(run_dir / METRICS)
    body = [_header(run_dir, rows), *_charts(rows), *_samples(run_dir / "samples")]
    path = run_dir / "report.html"
    path.write_text(page(f"Run {run_dir.resolve().name}", body), encoding="utf-8", errors="replace")
    return path


def _header(run_dir: Path, rows: Rows) -> Html:
    last = rows[-1].get("step") if rows else 0
    tiles = [tile(last, "steps")]
    tiles += [tile(points[-1][1], f"{name}, last") for name in TILES if (points := _points(rows, name))]
    title = element("h1", text(f"Run {run_dir.resolve().name}"))
    return element(
        "header", title, element("p", text(run_dir.resolve())), element("div", *tiles, kind="tiles")
    )


def _charts(rows: Rows) -> list[Html]:
    groups = {**CHARTS, "Seconds by phase": _names(rows, "time/"), "Evaluation": _names(rows, "eval/")}
    charts = []
    for title, names in groups.items():
        series = {name: points for name in names if (points := _points(rows, name))}
        if series:
            charts.append(line_chart(title, series))
    shown = (
        element("div", *charts, kind="grid") if charts else element("p", text("No step has finished yet."))
    )
    return [element("h2", text("By step")), shown]


def _names(rows: Rows, prefix: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for row in rows for name in row if name.startswith(prefix)))


def _points(rows: Rows, name: str) -> Points:
    values = ((row.get("step"), row.get(name)) for row in rows)
    return [(x, y) for x, y in values if isinstance(x, int | float) and isinstance(y, int | float)]


def _samples(folder: Path) -> list[Html]:
    files = sorted(folder.glob("step_*.jsonl"), reverse=True)
    note = f"The latest {MAX_STEPS} of {len(files)} files." if len(files) > MAX_STEPS else ""
    parts = [element("h2", text("Samples")), element("p", text(note if files else "None were written."))]
    return parts + [_sample_file(path) for path in files[:MAX_STEPS]]


def _sample_file(path: Path) -> Html:
    rows = read_jsonl(path)
    headers = [name for name in dict.fromkeys(name for row in rows for name in row) if name != "response"]
    cells = [
        [*(text(row.get(name)) for name in headers), element("pre", text(_shortened(row.get("response"))))]
        for row in rows[:MAX_SAMPLES]
    ]
    of = f", the first {MAX_SAMPLES} shown" if len(rows) > MAX_SAMPLES else ""
    summary = element("summary", text(f"{path.stem.replace('_', ' ')}: {len(rows)} responses{of}"))
    return element("details", summary, element("div", table([*headers, "response"], cells), kind="card"))


def _shortened(response: object) -> str:
    whole = str(response)
    return whole if len(whole) <= MAX_RESPONSE else f"{whole[:MAX_RESPONSE]} … ({len(whole)} characters)"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m vlm_uec.telemetry.report", description="A run as HTML.")
    parser.add_argument("run_dir", type=Path, help="the directory that train.py wrote")
    try:
        print(f"report: {write_report(parser.parse_args().run_dir).resolve()}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
