"""Pass@k evaluations shown beside the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import Any

from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.io.bounded_json import read_json
from vlm_uec.report.runs import number
from vlm_uec.webpage.charts import card, draw_lines
from vlm_uec.webpage.html import Html, element, table, text

SUMMARY = "summary.json"  # written by eval/passk.py
MAX_KS = 16
# Exceptions raised when the JSON is not an evaluation summary.
_MALFORMED = (OSError, ValueError, LookupError, TypeError, AttributeError, StopIteration, RecursionError)

Estimate = tuple[float, float, float]  # value, low and high end of the interval, in per cent


@dataclass(frozen=True)
class EvaluationResult:
    """Pass@k of one evaluation by its first scorer."""

    name: str
    scorer: str
    estimates: Mapping[int, Estimate]  # by k


def read_evaluation(path: Path, name: str) -> EvaluationResult:
    """Raises `UserError` if the file is not an evaluation summary."""
    location = escape(str(path / SUMMARY), 300)
    try:
        scorer, metrics = next(iter(read_json(path / SUMMARY)["scores"].items()))
        found = {
            k: _estimate(metric)
            for key, metric in metrics.items()
            if key.startswith("pass@") and (k := int(key.removeprefix("pass@"))) > 0
        }
    except _MALFORMED as error:
        raise UserError(f"{location}: not an evaluation summary; omit it, or evaluate again") from error
    return EvaluationResult(name, str(scorer), dict(sorted(found.items())[:MAX_KS]))


def evaluation_cards(evaluations: Sequence[EvaluationResult]) -> list[Html]:
    """Pass@k over k as a chart and as a table."""
    if not evaluations:
        return []
    series = {
        evaluation.name: [(log2(k), value) for k, (value, _, _) in evaluation.estimates.items()]
        for evaluation in evaluations
    }
    intervals = {
        evaluation.name: [(log2(k), low, high) for k, (_, low, high) in evaluation.estimates.items()]
        for evaluation in evaluations
    }
    ks = sorted({k for evaluation in evaluations for k in evaluation.estimates})
    curves = card(
        "Pass@k over k, % with 95 % intervals", draw_lines(series, intervals, [(log2(k), str(k)) for k in ks])
    )
    rows = [
        [
            text(evaluation.name),
            text(evaluation.scorer),
            *(text(_cell(evaluation.estimates.get(k))) for k in ks),
        ]
        for evaluation in evaluations
    ]
    title = element("h3", text("Pass@k, % with 95 % interval over problems"))
    pass_table = table(["evaluation", "scorer", *(f"pass@{k}" for k in ks)], rows)
    return [
        element("h2", text("Evaluations")),
        element("div", curves, element("div", title, pass_table, kind="card numbers"), kind="evaluated"),
    ]


def _estimate(metric: Mapping[str, Any]) -> Estimate:
    values = [number(value) for value in (metric["value"], *metric["interval"])]
    value, low, high = (100 * value for value in values if value is not None)
    return value, low, high


def _cell(estimate: Estimate | None) -> str:
    return "–" if estimate is None else "{:.2f}  ({:.2f} to {:.2f})".format(*estimate)
