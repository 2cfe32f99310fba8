"""The charts of a report: metrics grouped by chart, for one run or several runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vlm_uec.report.alarms import band_of
from vlm_uec.report.axes import Axis, points_of
from vlm_uec.report.catalog import VALIDATION, Chart
from vlm_uec.report.runs import RunData, number
from vlm_uec.telemetry.alarms import ENTROPY
from vlm_uec.webpage.axes import colour_of
from vlm_uec.webpage.charts import legend_key, svg
from vlm_uec.webpage.curves import Band, Curve, Mark, curve_chart
from vlm_uec.webpage.html import Html, element, text
from vlm_uec.webpage.text_budget import cut

ALARM = "#c43d4b"
MAX_METRICS = 12  # per chart


def chart_cards(charts: Sequence[Chart], runs: Sequence[RunData], axes: Sequence[Axis]) -> list[Html]:
    """One card per chart with data.

    One run: all metrics in one chart, with one colour per metric. Several runs: one colour per run; the
    second of two metrics is dashed, and more than two metrics get separate charts.
    """
    cards = []
    for chart in charts:
        metrics = [name for name in _metrics(chart, runs) if constant_value(name, runs) is None]
        if len(runs) == 1 or len(metrics) <= 2:
            parts = [(chart.title, metrics)] if metrics else []
        else:
            parts = [(f"{chart.title}: {cut(metric, 80)}", [metric]) for metric in metrics]
        cards += [_card(title, group, chart, runs, axes) for title, group in parts]
    return cards


def constants_line(charts: Sequence[Chart], runs: Sequence[RunData]) -> list[Html]:
    """The constant metrics, which have no chart."""
    constants = {name: constant_value(name, runs) for chart in charts for name in _metrics(chart, runs)}
    listed = [f"{cut(name, 80)} {value:.4g}" for name, value in constants.items() if value is not None]
    return [element("p", text(f"Constant: {', '.join(listed)}."))] if listed else []


def constant_value(metric: str, runs: Sequence[RunData]) -> float | None:
    """The value of a metric that has the same value in every step of every run, else None."""
    values = [value for run in runs for _, value in run.values(metric)]
    return values[0] if len(values) > len(runs) and len(set(values)) == 1 else None


def _metrics(chart: Chart, runs: Sequence[RunData]) -> list[str]:
    """The metrics of a chart that any run has, in the chart's order."""
    known = dict.fromkeys(name for run in runs for name in run.columns)
    found: list[str] = []
    for wanted in chart.metrics:
        is_prefix = wanted[-1] in "@/"
        found += [name for name in known if name == wanted or (is_prefix and name.startswith(wanted))]
    return found[:MAX_METRICS]


def _card(
    title: str, metrics: Sequence[str], chart: Chart, runs: Sequence[RunData], axes: Sequence[Axis]
) -> Html:
    drawings = [
        element("div", _drawing(metrics, chart, runs, axis), kind=f"axis axis-{index}")
        for index, axis in enumerate(axes)
    ]
    keys = _legend(metrics, runs, has_alarm_limits=ENTROPY in metrics and any(map(band_of, runs)))
    body = (element("h3", text(title)), *drawings, element("div", *keys, kind="legend"))
    return element("div", *body, kind="card")


def _drawing(metrics: Sequence[str], chart: Chart, runs: Sequence[RunData], axis: Axis) -> Html:
    curves = list(_curves(metrics, chart, runs, axis))
    if not curves:
        return element("p", text("no values on this axis"))
    bands = list(_bands(runs)) if ENTROPY in metrics else []
    marks = list(_marks(runs, axis)) if chart.metrics == (VALIDATION,) else []
    return svg(curve_chart(curves, axis.unit, bands, marks, logarithmic=chart.logarithmic))


def _curves(metrics: Sequence[str], chart: Chart, runs: Sequence[RunData], axis: Axis) -> Iterator[Curve]:
    several = len(runs) > 1
    for index, run in enumerate(runs):
        for order, metric in enumerate(metrics):
            if points := points_of(run, metric, axis):
                names = [run.name] * several + [metric] * (not several or len(metrics) > 1)
                colour = index if several else order
                yield Curve(", ".join(names), colour, points, dashed=several and order > 0, dots=chart.dots)


def _legend(metrics: Sequence[str], runs: Sequence[RunData], *, has_alarm_limits: bool) -> Iterator[Html]:
    if len(runs) == 1:
        for index, metric in enumerate(metrics):
            yield legend_key(index, cut(metric, 80))
    else:
        for index, run in enumerate(runs):
            if any(run.values(metric) for metric in metrics):
                yield legend_key(index, run.name)
        if len(metrics) > 1:
            for kind, metric in zip(("solid", "dashed"), metrics, strict=False):
                yield element("span", Html(f'<i class="{kind}"></i>'), text(cut(metric, 80)))
    if has_alarm_limits:
        yield element("span", Html('<i class="alarm"></i>'), text("alarm limits"))


def _bands(runs: Sequence[RunData]) -> Iterator[Band]:
    single = len(runs) == 1
    for index, run in enumerate(runs):
        if limits := band_of(run):
            yield Band(*limits, ALARM if single else colour_of(index), shaded=single)


def _marks(runs: Sequence[RunData], axis: Axis) -> Iterator[Mark]:
    for run in runs:
        for checkpoint in run.checkpoints:
            x = number(run.by_step.get(checkpoint.step, {}).get(axis.metric))
            if x is not None:
                prefix = f"{run.name}, " if len(runs) > 1 else ""
                tooltip = f"{prefix}{checkpoint.name}{', best' if checkpoint.best else ''}"
                yield Mark(x, tooltip, "best" if checkpoint.best else "")
