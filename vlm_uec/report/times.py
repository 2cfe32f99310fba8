"""Where a run's time went, phase by phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vlm_uec.report.runs import RunData, number
from vlm_uec.telemetry.phases import ADVICE, PREFIX
from vlm_uec.webpage.areas import area_chart
from vlm_uec.webpage.axes import colour_of, short
from vlm_uec.webpage.charts import card, legend_key
from vlm_uec.webpage.html import Html, element, text

STYLE = """
.spent { margin-bottom: 8px; font-size: 12px; } .spent span { overflow-wrap: anywhere; }
.spent div { display: flex; gap: 12px; justify-content: space-between; }
.spent b { white-space: nowrap; font-variant-numeric: tabular-nums; }
.spent .phases { gap: 0; justify-content: start; height: 14px; } .spent i:hover { opacity: 0.75; }
"""

Means = Mapping[str, Sequence[float]]  # by phase, of each run the seconds of a step


def time_cards(runs: Sequence[RunData]) -> list[Html]:
    """Seconds of a step by phase: of one run over its steps, of several their means as bars."""
    means = {phase: [_mean(run, phase) for run in runs] for phase in ADVICE}
    spent = {phase: values for phase, values in means.items() if any(values)}
    if not spent:
        return []
    return [_compared(runs, spent) if len(runs) > 1 else _over_steps(runs[0], spent)]


def _over_steps(run: RunData, spent: Means) -> Html:
    xs = [step for _, step in run.values("step")]
    whole = sum(mean for (mean,) in spent.values())
    layers = {
        f"{phase} {mean:.3g} s, {mean / whole:.0%}": [
            max(0.0, number(row.get(PREFIX + phase)) or 0.0) for row, _ in run.values("step")
        ]
        for phase, (mean,) in spent.items()
    }
    return card("Seconds of a step by phase, and their mean", area_chart(xs, layers))


def _compared(runs: Sequence[RunData], spent: Means) -> Html:
    """A bar a run, as long as its step is beside the longest."""
    of_runs = [dict(zip(spent, of_run, strict=True)) for of_run in zip(*spent.values(), strict=True)]
    longest = max(sum(phases.values()) for phases in of_runs)
    bars = [_bar(run.name, phases, longest) for run, phases in zip(runs, of_runs, strict=True)]
    title = element("h3", text("Seconds of a step by phase, mean over the run"))
    keys = [legend_key(hue, phase) for hue, phase in enumerate(spent)]
    return element("div", title, *bars, element("div", *keys, kind="legend"), kind="card")


def _bar(name: str, phases: Mapping[str, float], longest: float) -> Html:
    """Under the name, which has room there however long it is; hovering over a part tells its phase."""
    whole = sum(phases.values())
    took = text(f"{short(whole)} s" if whole else None)
    parts = [
        Html(
            f'<i style="width:{seconds / longest:.2%};background:{colour_of(hue)}" '
            f'title="{text(phase)} {short(seconds)} s, {seconds / whole:.0%}"></i>'
        )
        for hue, (phase, seconds) in enumerate(phases.items())
        if seconds
    ]
    head = element("div", element("span", text(name)), element("b", took))
    return element("div", head, element("div", *parts, kind="phases"), kind="spent")


def _mean(run: RunData, phase: str) -> float:
    """Over all steps, those without the phase too."""
    return sum(max(0.0, value) for _, value in run.values(PREFIX + phase)) / max(1, len(run.rows))
