"""Where a run's time went, phase by phase."""

from __future__ import annotations

from collections.abc import Sequence

from vlm_uec.telemetry.areas import area_chart
from vlm_uec.telemetry.charts import bar_chart, card
from vlm_uec.telemetry.html import Html
from vlm_uec.telemetry.phases import KNOBS, PREFIX
from vlm_uec.telemetry.report.runs import RunData, number


def time_cards(runs: Sequence[RunData]) -> list[Html]:
    """Seconds of a step by phase: of one run over its steps, of several their means side by side."""
    means = {phase: [_mean(run, phase) for run in runs] for phase in KNOBS}
    spent = {phase: values for phase, values in means.items() if any(values)}
    if not spent:
        return []
    if len(runs) > 1:
        names = [run.name for run in runs]
        return [bar_chart("Seconds of a step by phase, mean over the run", names, spent, " s")]
    xs = [step for _, step in runs[0].values("step")]
    whole = sum(values[0] for values in spent.values())
    layers = {
        f"{phase} {values[0]:.3g} s, {values[0] / whole:.0%}": [
            max(0.0, number(row.get(PREFIX + phase)) or 0.0) for row, _ in runs[0].values("step")
        ]
        for phase, values in spent.items()
    }
    return [card("Seconds of a step by phase, and their mean", area_chart(xs, layers))]


def _mean(run: RunData, phase: str) -> float:
    """Over all steps, those without the phase too."""
    return sum(max(0.0, value) for _, value in run.values(PREFIX + phase)) / max(1, len(run.rows))
