"""The tables of a report: results, settings and checkpoints of runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from vlm_uec.config.file import flatten
from vlm_uec.report.alarms import alarms_of
from vlm_uec.report.catalog import VALIDATION
from vlm_uec.report.runs import TOKENS, Checkpoint, RunData, number
from vlm_uec.telemetry.alarms import ENTROPY
from vlm_uec.webpage.axes import short_number
from vlm_uec.webpage.charts import legend_key
from vlm_uec.webpage.html import Html, element, table, text, tile
from vlm_uec.webpage.text_budget import cut

RECENT_STEPS = 10  # steps over which final values are averaged, because a single step is noisy
MAX_ROWS = 400
MAX_OPEN = 14  # settings shown without a click
MAX_KS = 8  # columns of Pass@k
ACCURACY, PASS_1 = "reward/accuracy", "eval/pass@1"
_MISSING = object()

FACTS: dict[str, Callable[[RunData], str | None]] = {
    "algorithm": lambda run: cut(str(run.settings["algorithm"]), 60) if "algorithm" in run.settings else None,
    "steps": lambda run: _last(run, "step", "{:.0f}"),
    "sampled tokens": lambda run: short_number(run.values(TOKENS)[-1][1]) if run.values(TOKENS) else None,
    "hours": lambda run: _last(run, "hours", "{:.3g}"),
    f"accuracy, last {RECENT_STEPS} steps": lambda run: _recent(run, ACCURACY),
    f"entropy, last {RECENT_STEPS} steps": lambda run: _recent(run, ENTROPY),
    "best Pass@1": lambda run: _best(run, PASS_1),
    "alarms": lambda run: str(len(alarms_of(run))) if run.rows else None,
}


def overview(runs: Sequence[RunData]) -> Html:
    """Key figures: tiles for one run, a table for several runs."""
    if len(runs) == 1:
        facts = {name: fact(runs[0]) for name, fact in FACTS.items()}
        tiles = [tile(value, name) for name, value in facts.items() if value is not None]
        return element("div", *tiles, kind="tiles")
    rows = [
        [legend_key(index, run.name), *(text(fact(run)) for fact in FACTS.values())]
        for index, run in enumerate(runs)
    ]
    return element("div", table(["run", *FACTS], rows), kind="card numbers runs")


def checkpoint_table(runs: Sequence[RunData]) -> list[Html]:
    """The available checkpoints with their Pass@k, if validated; empty if there are none."""
    known = dict.fromkeys(name for run in runs for name in run.columns)
    metrics = [name for name in known if name.startswith(VALIDATION)][:MAX_KS]
    several = len(runs) > 1
    rows = [
        [*([text(run.name)] if several else []), *_checkpoint(run, checkpoint, metrics)]
        for run in runs
        for checkpoint in run.checkpoints
    ]
    if not rows:
        return []
    headers = [*(["run"] if several else []), "checkpoint", "sampled tokens", *metrics, ""]
    title = element("h3", text("Available checkpoints"))
    card = element("div", title, table(headers, rows[:MAX_ROWS]), kind="card numbers")
    return [element("div", card, kind="wide")]


def settings_table(runs: Sequence[RunData]) -> list[Html]:
    """All settings of one run, folded; for several runs the settings that differ."""
    trees = [dict(flatten(run.settings)) for run in runs]
    keys = list(dict.fromkeys(key for tree in trees for key in tree))
    if not keys:
        return []
    if len(runs) == 1:
        rows = [[text(cut(key, 80)), text(_format_setting(trees[0][key]))] for key in keys[:MAX_ROWS]]
        card = element("div", table(["setting", "value"], rows), kind="card about")
        return [element("details", element("summary", text("Settings")), card)]
    values = {key: [_format_setting(tree.get(key, _MISSING)) for tree in trees] for key in keys}
    differing = [key for key in keys if len(set(values[key])) > 1]
    rows = [[text(cut(key, 80)), *map(text, values[key])] for key in differing[:MAX_ROWS]]
    title = element("summary", text(f"Settings that differ: {len(differing)} of {len(keys)}"))
    card = element("div", table(["", *(run.name for run in runs)], rows), kind="card about")
    opened = " open" if len(differing) <= MAX_OPEN else ""
    return [Html(f"<details{opened}>{title}{card}</details>")]


def _last(run: RunData, metric: str, template: str) -> str | None:
    values = run.values(metric)
    return template.format(values[-1][1]) if values else None


def _recent(run: RunData, metric: str) -> str | None:
    values = [value for _, value in run.values(metric)[-RECENT_STEPS:]]
    return f"{fmean(values):.3f}" if values else None


def _best(run: RunData, metric: str) -> str | None:
    if not (values := run.values(metric)):
        return None
    row, value = max(values, key=lambda found: found[1])
    return cut(f"{value:.3f} at step {row.get('step')}", 60)


def _checkpoint(run: RunData, checkpoint: Checkpoint, metrics: Sequence[str]) -> list[Html]:
    row = run.by_step.get(checkpoint.step, {})
    flags = [name for name, is_set in (("latest", checkpoint.latest), ("best", checkpoint.best)) if is_set]
    tokens = number(row.get(TOKENS))
    cells = ["–" if tokens is None else short_number(tokens)]
    values = [number(row.get(name)) for name in metrics]
    cells += ["–" if value is None else f"{value:.3f}" for value in values]
    return [text(checkpoint.name), *map(text, cells), text(", ".join(flags))]


def _format_setting(value: Any) -> str:
    return "–" if value is _MISSING else cut(json.dumps(value, ensure_ascii=False, default=str), 300)
