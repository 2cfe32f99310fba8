"""Time per phase of a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vlm_uec.report.runs import RunData, number
from vlm_uec.telemetry.phases import ADVICE, PREFIX
from vlm_uec.webpage.areas import area_chart
from vlm_uec.webpage.axes import colour_of, short_number
from vlm_uec.webpage.charts import card, legend_key
from vlm_uec.webpage.html import Html, element, text

STYLE = """
.time-bar { margin-bottom: 8px; font-size: 12px; } .time-bar span { overflow-wrap: anywhere; }
.time-bar div { display: flex; gap: 12px; justify-content: space-between; }
.time-bar b { white-space: nowrap; font-variant-numeric: tabular-nums; }
.time-bar .phases { gap: 0; justify-content: start; height: 14px; } .time-bar i:hover { opacity: 0.75; }
"""

Means = Mapping[str, Sequence[float]]  # by phase, the mean seconds per step of each run


def time_cards(runs: Sequence[RunData]) -> list[Html]:
    """Seconds per step by phase: over the steps of one run, or the means of several runs as bars."""
    means = {phase: [_mean(run, phase) for run in runs] for phase in ADVICE}
    seconds_by_phase = {phase: values for phase, values in means.items() if any(values)}
    if not seconds_by_phase:
        return []
    return [_bar_card(runs, seconds_by_phase) if len(runs) > 1 else _area_card(runs[0], seconds_by_phase)]


def _area_card(run: RunData, seconds_by_phase: Means) -> Html:
    xs = [step for _, step in run.values("step")]
    total = sum(mean for (mean,) in seconds_by_phase.values())
    layers = {
        f"{phase} {mean:.3g} s, {mean / total:.0%}": [
            max(0.0, number(row.get(PREFIX + phase)) or 0.0) for row, _ in run.values("step")
        ]
        for phase, (mean,) in seconds_by_phase.items()
    }
    return card("Seconds per step by phase, with the mean", area_chart(xs, layers))


def _bar_card(runs: Sequence[RunData], seconds_by_phase: Means) -> Html:
    """One bar per run, scaled to the longest step."""
    by_run = [
        dict(zip(seconds_by_phase, means, strict=True))
        for means in zip(*seconds_by_phase.values(), strict=True)
    ]
    longest = max(sum(phases.values()) for phases in by_run)
    bars = [_bar(run.name, phases, longest) for run, phases in zip(runs, by_run, strict=True)]
    title = element("h3", text("Seconds per step by phase, mean over the run"))
    keys = [legend_key(index, phase) for index, phase in enumerate(seconds_by_phase)]
    return element("div", title, *bars, element("div", *keys, kind="legend"), kind="card")


def _bar(name: str, phases: Mapping[str, float], longest: float) -> Html:
    """The bar is below the name, so that long names fit; the tooltip of each part names its phase."""
    total = sum(phases.values())
    duration = text(f"{short_number(total)} s" if total else None)
    parts = [
        Html(
            f'<i style="width:{seconds / longest:.2%};background:{colour_of(index)}" '
            f'title="{text(phase)} {short_number(seconds)} s, {seconds / total:.0%}"></i>'
        )
        for index, (phase, seconds) in enumerate(phases.items())
        if seconds
    ]
    head = element("div", element("span", text(name)), element("b", duration))
    return element("div", head, element("div", *parts, kind="phases"), kind="time-bar")


def _mean(run: RunData, phase: str) -> float:
    """Mean over all steps; steps without the phase count as 0."""
    return sum(max(0.0, value) for _, value in run.values(PREFIX + phase)) / max(1, len(run.rows))
