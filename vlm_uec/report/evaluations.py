"""Evaluations beside the runs: Pass@k before and after training."""

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
from vlm_uec.webpage.charts import Interval, card, lines
from vlm_uec.webpage.html import Html, element, table, text

SUMMARY = "summary.json"  # what eval/passk.py leaves
MAX_KS = 16
# What reading another JSON as if it were a summary may raise.
_FAULTS = (OSError, ValueError, LookupError, TypeError, AttributeError, StopIteration, RecursionError)


@dataclass(frozen=True)
class Evaluation:
    """Pass@k by k, in per cent, with its interval, by the first scorer."""

    name: str
    scorer: str
    estimates: Mapping[int, Interval]  # value, low, high


def read_evaluation(path: Path, name: str) -> Evaluation:
    """Raises `UserError` where the summary is not what an evaluation writes."""
    where = escape(str(path / SUMMARY), 300)
    try:
        scorer, metrics = next(iter(read_json(path / SUMMARY)["scores"].items()))
        found = {
            k: _estimate(metric)
            for key, metric in metrics.items()
            if key.startswith("pass@") and (k := int(key.removeprefix("pass@"))) > 0
        }
    except _FAULTS as error:
        raise UserError(f"{where}: no summary of an evaluation; leave it out, or write it again") from error
    return Evaluation(name, str(scorer), dict(sorted(found.items())[:MAX_KS]))


def evaluation_cards(evaluations: Sequence[Evaluation]) -> list[Html]:
    """Pass@k over k, and the same as a table."""
    if not evaluations:
        return []
    series = {
        one.name: [(log2(k), value) for k, (value, _, _) in one.estimates.items()] for one in evaluations
    }
    upright = {
        one.name: [(log2(k), low, high) for k, (_, low, high) in one.estimates.items()] for one in evaluations
    }
    ks = sorted({k for one in evaluations for k in one.estimates})
    curves = card(
        "Pass@k over k, % with 95 % intervals", lines(series, upright, [(log2(k), str(k)) for k in ks])
    )
    rows = [
        [text(one.name), text(one.scorer), *(text(_cell(one.estimates.get(k))) for k in ks)]
        for one in evaluations
    ]
    title = element("h3", text("Pass@k, % with 95 % interval over problems"))
    told = table(["evaluation", "scorer", *(f"pass@{k}" for k in ks)], rows)
    return [
        element("h2", text("Evaluations")),
        element("div", curves, element("div", title, told, kind="card numbers"), kind="evaluated"),
    ]


def _estimate(metric: Mapping[str, Any]) -> Interval:
    values = [number(value) for value in (metric["value"], *metric["interval"])]
    value, low, high = (100 * value for value in values if value is not None)
    return value, low, high


def _cell(estimate: Interval | None) -> str:
    return "–" if estimate is None else "{:.2f}  ({:.2f} to {:.2f})".format(*estimate)
