"""Measured entropy change per update against the predicted change."""

from __future__ import annotations

from collections.abc import Sequence

from vlm_uec.report.runs import RunData, number
from vlm_uec.webpage.axes import Points
from vlm_uec.webpage.charts import legend_key, svg
from vlm_uec.webpage.html import Html, element, text
from vlm_uec.webpage.scatter import correlation_of, scatter_chart

MIN_PAIRS = 3  # runs with fewer are omitted
UPDATES = {"update": "the batch", "replay": "replay"}  # metric prefix: data of the update


def entropy_prediction_cards(runs: Sequence[RunData]) -> list[Html]:
    """One scatter plot per kind of update, one dot per step; none if no run has `train.measure_entropy`."""
    return [card for prefix, name in UPDATES.items() if (card := _card(prefix, name, runs))]


def _card(prefix: str, name: str, runs: Sequence[RunData]) -> Html | None:
    found = {
        index: points for index, run in enumerate(runs) if len(points := _pairs(run, prefix)) >= MIN_PAIRS
    }
    if not found:
        return None
    keys = [
        legend_key(index, _legend_label(runs[index].name if len(runs) > 1 else "", points))
        for index, points in found.items()
    ]
    title = f"Entropy change by updates on {name}: measured against predicted"
    note = "x: predicted to first order, for natural gradient. Compare signs and ranks, not magnitudes."
    return element(
        "div",
        element("h3", text(title)),
        svg(scatter_chart(list(found.items()))),
        element("div", *keys, kind="legend"),
        element("p", text(note)),
        kind="card",
    )


def _pairs(run: RunData, prefix: str) -> Points:
    pairs = (
        (number(row.get(f"{prefix}/entropy_predicted")), y)
        for row, y in run.values(f"{prefix}/entropy_change")
    )
    return [(x, y) for x, y in pairs if x is not None]


def _legend_label(name: str, points: Points) -> str:
    correlation = correlation_of(points)
    return f"{name} {len(points)} steps".strip() + (
        "" if correlation is None else f", correlation {correlation:.2f}"
    )
