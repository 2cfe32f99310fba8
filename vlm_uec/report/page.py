"""One self-contained HTML page of runs: curves, settings, checkpoints and samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.io.durable import atomic_write
from vlm_uec.report.alarms import alarms_of
from vlm_uec.report.axes import available_axes, axis_filter, axis_style
from vlm_uec.report.catalog import SECTIONS
from vlm_uec.report.entropy_prediction import entropy_prediction_cards
from vlm_uec.report.evaluations import SUMMARY, EvaluationResult, evaluation_cards, read_evaluation
from vlm_uec.report.phase_times import STYLE as TIME_STYLE
from vlm_uec.report.phase_times import time_cards
from vlm_uec.report.run_charts import chart_cards, constants_line
from vlm_uec.report.run_tables import checkpoint_table, overview, settings_table
from vlm_uec.report.runs import RunData, distinct_names, read_run
from vlm_uec.report.sample_browser import STYLE as BROWSER_STYLE
from vlm_uec.report.sample_browser import SampleBrowser, sample_browser
from vlm_uec.telemetry.no_learning import no_learning
from vlm_uec.telemetry.writers import METRICS
from vlm_uec.webpage.cards import STYLE as CARD_STYLE
from vlm_uec.webpage.charts import legend_key
from vlm_uec.webpage.curves import HALF_WINDOW_DIVISOR
from vlm_uec.webpage.curves import STYLE as CURVE_STYLE
from vlm_uec.webpage.filters import filter_bar, filter_style
from vlm_uec.webpage.html import Html, element, page, text
from vlm_uec.webpage.text_budget import cut

REPORT_FILE = "report.html"
MAX_RUNS = 32
MAX_NOTES = 20
MAX_ALARMS = 8  # shown per run
_TOOLTIP_NOTE = "Point at a chart to read its values."
_MEAN_NOTE = (
    f"Bold: running mean over 1/{HALF_WINDOW_DIVISOR} of all points to either side; faint: measured values."
)
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
class WrittenReport:
    """Path of the page, and one line per item that could not be shown."""

    path: Path
    notes: Sequence[str]


def write_report(*directories: Path, out: Path | None = None) -> WrittenReport:
    """Writes the page of the given run and evaluation directories.

    `out`: the default is `report.html` in the run's directory, or in the current directory for several runs.

    Raises:
        UserError: no directory is a run, one is neither a run nor an evaluation, metrics cannot be read, or
            `out` cannot be written.
    """
    evaluated = [
        path for path in directories if (path / SUMMARY).is_file() and not (path / METRICS).is_file()
    ]
    trained = [path for path in directories if path not in evaluated]
    if not trained:
        raise UserError("no run directory given; give one written by train.py")
    if len(directories) > MAX_RUNS:
        raise UserError(f"{len(directories)} directories: a page shows at most {MAX_RUNS}")
    runs = [
        read_run(path, cut(name, 80)) for path, name in zip(trained, distinct_names(trained), strict=True)
    ]
    evaluations = [
        read_evaluation(path, cut(name, 80))
        for path, name in zip(evaluated, distinct_names(evaluated), strict=True)
    ]
    browser = sample_browser(runs)
    notes = [note for run in runs for note in run.notes] + list(browser.notes)
    path = out or (trained[0] / REPORT_FILE if len(trained) == 1 else Path(REPORT_FILE))
    _write(path, _document(runs, evaluations, browser, notes))
    return WrittenReport(path, notes)


def _write(path: Path, document: str) -> None:
    try:
        atomic_write(path, [document.encode("utf-8", "replace")])
    except OSError as error:
        raise UserError(
            f"{escape(str(path), 300)}: cannot be written ({error.strerror}); choose another --out"
        ) from error


def _document(
    runs: Sequence[RunData],
    evaluations: Sequence[EvaluationResult],
    browser: SampleBrowser,
    notes: Sequence[str],
) -> str:
    axes = available_axes(runs)
    names = ", ".join(run.name for run in runs)
    title = f"Run {names}" if len(runs) == 1 else cut(f"{len(runs)} runs: {names}", 200)
    body = [
        _header(title, runs, notes),
        *settings_table(runs),
        *evaluation_cards(evaluations),
        _curves(runs),
        element("section", *browser.parts),
    ]
    styles = (CARD_STYLE, CURVE_STYLE, BROWSER_STYLE, TIME_STYLE, _STYLE, filter_style([]), axis_style(axes))
    return page(title, body, "".join(styles) + browser.style)


def _header(title: str, runs: Sequence[RunData], notes: Sequence[str]) -> Html:
    lines = [element("p", text(cut(str(run.path.resolve()), 400))) for run in runs] if len(runs) == 1 else []
    for run in runs:
        alarms = [*filter(None, [no_learning(run.rows)]), *alarms_of(run)]
        more = [f"and {len(alarms) - MAX_ALARMS} more"] if len(alarms) > MAX_ALARMS else []
        for alarm in [*alarms[:MAX_ALARMS], *more]:
            lines.append(element("p", text(cut(f"{run.name}: {alarm}", 400)), kind="wrong"))
    lines += [element("p", text(cut(note, 400))) for note in notes[:MAX_NOTES]]
    return element("header", element("h1", text(title)), *lines, overview(runs))


def _curves(runs: Sequence[RunData]) -> Html:
    if not any(run.rows for run in runs):
        return element(
            "section", element("h2", text("Curves")), element("p", text("No step has finished yet."))
        )
    axes = available_axes(runs)
    keys = [legend_key(index, run.name) for index, run in enumerate(runs)] if len(runs) > 1 else []
    averaged = any(len(run.rows) >= HALF_WINDOW_DIVISOR for run in runs)
    note = f"{_MEAN_NOTE} {_TOOLTIP_NOTE}" if averaged else _TOOLTIP_NOTE
    parts = [element("p", text(note)), _sticky(filter_bar([axis_filter(axes)]), keys)]
    extra = {"Entropy": entropy_prediction_cards(runs), "Speed": time_cards(runs)}
    for name, charts in SECTIONS.items():
        cards = chart_cards(charts, runs, axes) + extra.get(name, [])
        below = constants_line(charts, runs) + (checkpoint_table(runs) if name == "Learning" else [])
        if cards or below:
            parts += [element("h2", text(name)), element("div", *cards, kind="grid"), *below]
    return element("section", *parts)


def _sticky(bar: Html, keys: Sequence[Html]) -> Html:
    return element("div", bar, element("div", *keys, kind="legend"), kind="controls")
