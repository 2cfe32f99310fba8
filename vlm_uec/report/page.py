"""Runs as one HTML page that opens offline: curves, settings, checkpoints and samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.io.durable import atomic_write
from vlm_uec.report.alarms import alarms_of
from vlm_uec.report.axes import axes_of, axis_choice, axis_style
from vlm_uec.report.browser import STYLE as BROWSER_STYLE
from vlm_uec.report.browser import Browser, sample_browser
from vlm_uec.report.catalog import SECTIONS
from vlm_uec.report.evaluations import SUMMARY, Evaluation, evaluation_cards, read_evaluation
from vlm_uec.report.forecasts import forecast_cards
from vlm_uec.report.run_charts import chart_cards, constants_line
from vlm_uec.report.run_tables import checkpoint_table, overview, settings_table
from vlm_uec.report.runs import RunData, names_of, read_run
from vlm_uec.report.times import STYLE as TIME_STYLE
from vlm_uec.report.times import time_cards
from vlm_uec.telemetry.writers import METRICS
from vlm_uec.webpage.cards import STYLE as CARD_STYLE
from vlm_uec.webpage.charts import legend_key
from vlm_uec.webpage.curves import SIDES
from vlm_uec.webpage.curves import STYLE as CURVE_STYLE
from vlm_uec.webpage.filters import filter_bar, filter_style
from vlm_uec.webpage.html import Html, element, page, text
from vlm_uec.webpage.text_budget import cut

FILE = "report.html"
MAX_RUNS = 32
MAX_NOTES = 20
MAX_ALARMS = 8  # told of a run
_READ = "Point at a chart to read its values."
_MEANS = f"Bold: the mean of a point and of 1/{SIDES} of all points to either side; faint: what was measured."
_STYLE = """
.wide { display: grid; gap: 16px; grid-template-columns: minmax(0, 1fr); margin: 16px 0; }
.evaluated { display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start; }
.evaluated > * { flex: 1 1 340px; min-width: 0; }
.about td { overflow-wrap: anywhere; } .about td:first-child { white-space: nowrap; color: var(--dim); }
.runs, header + details { margin: 18px 0; } .about { margin: 10px 0; }
.runs td:first-child { min-width: 18ch; }
h3 { overflow-wrap: anywhere; } .tile { min-width: 96px; }
.runs td:first-child i, .chips i { display: inline-block; width: 10px; height: 10px; border-radius: 3px;
  margin-right: 5px; }
.controls { position: sticky; top: 0; z-index: 1; background: var(--page); padding: 10px 0; }
.controls .filters { position: static; padding: 0; } .controls fieldset { margin-bottom: 4px; }
"""


@dataclass(frozen=True)
class Written:
    """Where the page is, and what it could not show, a line each."""

    path: Path
    notes: Sequence[str]


def write_report(*directories: Path, out: Path | None = None) -> Written:
    """The page of one run or several, and of evaluations to show beside them.

    `out`: left out, `report.html` in the run's directory, or here where there are several runs.

    Raises:
        UserError: a directory is neither a run's nor an evaluation's, its metrics cannot be read, or `out`
            cannot be written.
    """
    evaluated = [
        path for path in directories if (path / SUMMARY).is_file() and not (path / METRICS).is_file()
    ]
    trained = [path for path in directories if path not in evaluated]
    if not trained:
        raise UserError("no run among the directories; give one that train.py wrote")
    if len(directories) > MAX_RUNS:
        raise UserError(f"{len(directories)} directories: a page has room for {MAX_RUNS}")
    runs = [read_run(path, cut(name, 80)) for path, name in zip(trained, names_of(trained), strict=True)]
    evaluations = [
        read_evaluation(path, cut(name, 80))
        for path, name in zip(evaluated, names_of(evaluated), strict=True)
    ]
    browser = sample_browser(runs)
    notes = [note for run in runs for note in run.notes] + list(browser.notes)
    path = out or (trained[0] / FILE if len(trained) == 1 else Path(FILE))
    _write(path, _document(runs, evaluations, browser, notes))
    return Written(path, notes)


def _write(path: Path, document: str) -> None:
    try:
        atomic_write(path, [document.encode("utf-8", "replace")])
    except OSError as error:
        raise UserError(
            f"{escape(str(path), 300)}: cannot be written ({error.strerror}); choose another --out"
        ) from error


def _document(
    runs: Sequence[RunData], evaluations: Sequence[Evaluation], browser: Browser, notes: Sequence[str]
) -> str:
    axes = axes_of(runs)
    names = ", ".join(run.name for run in runs)
    title = f"Run {names}" if len(runs) == 1 else cut(f"{len(runs)} runs: {names}", 200)
    body = [
        _header(title, runs, notes),
        *settings_table(runs),
        *evaluation_cards(evaluations),
        _curves(runs),
        element("section", *browser.parts),
    ]
    looks = (CARD_STYLE, CURVE_STYLE, BROWSER_STYLE, TIME_STYLE, _STYLE, filter_style([]), axis_style(axes))
    return page(title, body, "".join(looks) + browser.style)


def _header(title: str, runs: Sequence[RunData], notes: Sequence[str]) -> Html:
    told = [element("p", text(cut(str(run.path.resolve()), 400))) for run in runs] if len(runs) == 1 else []
    for run in runs:
        alarms = alarms_of(run)
        more = [f"and {len(alarms) - MAX_ALARMS} more"] if len(alarms) > MAX_ALARMS else []
        for alarm in [*alarms[:MAX_ALARMS], *more]:
            told.append(element("p", text(cut(f"{run.name}: {alarm}", 300)), kind="wrong"))
    told += [element("p", text(cut(note, 400))) for note in notes[:MAX_NOTES]]
    return element("header", element("h1", text(title)), *told, overview(runs))


def _curves(runs: Sequence[RunData]) -> Html:
    if not any(run.rows for run in runs):
        return element(
            "section", element("h2", text("Curves")), element("p", text("No step has finished yet."))
        )
    axes = axes_of(runs)
    keys = [legend_key(place, run.name) for place, run in enumerate(runs)] if len(runs) > 1 else []
    averaged = any(len(run.rows) >= SIDES for run in runs)
    note = f"{_MEANS} {_READ}" if averaged else _READ
    parts = [element("p", text(note)), _sticky(filter_bar([axis_choice(axes)]), keys)]
    extra = {"Entropy": forecast_cards(runs), "Speed": time_cards(runs)}
    for name, charts in SECTIONS.items():
        cards = chart_cards(charts, runs, axes) + extra.get(name, [])
        below = constants_line(charts, runs) + (checkpoint_table(runs) if name == "Learning" else [])
        if cards or below:
            parts += [element("h2", text(name)), element("div", *cards, kind="grid"), *below]
    return element("section", *parts)


def _sticky(bar: Html, keys: Sequence[Html]) -> Html:
    return element("div", bar, element("div", *keys, kind="legend"), kind="controls")
