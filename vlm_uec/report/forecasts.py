"""How far an update moved entropy, against what theory predicts of it."""

from __future__ import annotations

from collections.abc import Sequence

from vlm_uec.report.runs import RunData, number
from vlm_uec.webpage.axes import Points
from vlm_uec.webpage.charts import legend_key, svg
from vlm_uec.webpage.html import Html, element, text
from vlm_uec.webpage.scatter import correlation_of, scatter_chart

MIN_PAIRS = 3  # fewer show nothing
SOURCES = {"update": "the batch", "replay": "replay"}  # metrics' prefix, and what was updated on


def forecast_cards(runs: Sequence[RunData]) -> list[Html]:
    """A card a source of updates, a dot a step; nothing where no run has `train.measure_entropy`."""
    return [card for prefix, name in SOURCES.items() if (card := _card(prefix, name, runs))]


def _card(prefix: str, name: str, runs: Sequence[RunData]) -> Html | None:
    found = {
        place: points for place, run in enumerate(runs) if len(points := _pairs(run, prefix)) >= MIN_PAIRS
    }
    if not found:
        return None
    keys = [
        legend_key(place, _told(runs[place].name if len(runs) > 1 else "", points))
        for place, points in found.items()
    ]
    title = f"Entropy change by updates on {name}: measured over predicted"
    note = "Predicted (across) to first order, for natural gradient: its sign and order count, not its size."
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


def _told(name: str, points: Points) -> str:
    correlation = correlation_of(points)
    return f"{name} {len(points)} steps".strip() + (
        "" if correlation is None else f", correlation {correlation:.2f}"
    )
