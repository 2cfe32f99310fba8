"""The numbers of a summary as tables, and the most important ones as tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vlm_uec.webpage.html import Html, element, table, text, tile
from vlm_uec.webpage.text_budget import cut

ABOUT = ("model", "data", "settings", "versions")
MAX_GROUPS = 40  # rows per breakdown table

Summary = Mapping[str, Any]


def format_percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}"


def ks_of(summary: Summary, kind: str) -> list[int]:
    """Every k with a metric `kind@k`, sorted."""
    metrics = {metric for scores in summary["scores"].values() for metric in scores}
    return sorted(int(metric.removeprefix(f"{kind}@")) for metric in metrics if metric.startswith(f"{kind}@"))


def tiles(summary: Summary) -> Html:
    ks = ks_of(summary, "pass")
    shown = [
        tile(f"{format_percent(scores[f'pass@{k}']['value'])} %", f"Pass@{k}, {scorer}")
        for scorer, scores in summary["scores"].items()
        for k in dict.fromkeys((ks[0], ks[-1]))
    ]
    responses, problems = summary["responses"], summary["problems"]
    if "truncated" in responses:
        shown.append(tile(f"{format_percent(responses['truncated'])} %", "truncated"))
    if "tokens_mean" in responses:
        shown.append(tile(f"{responses['tokens_mean']:.0f}", "tokens per response, mean"))
    shown.append(tile(f"{problems} × {summary['samples'] // max(1, problems)}", "problems × samples"))
    return element("div", *shown, kind="tiles")


def main_table(summary: Summary) -> Html:
    """Each estimate of each scorer with its interval."""
    scorers = summary["scores"]
    metrics = dict.fromkeys(metric for scores in scorers.values() for metric in scores if "@" in metric)
    rows = [
        [text(metric), *(text(_with_interval(scores.get(metric))) for scores in scorers.values())]
        for metric in metrics
    ]
    rows.append(
        [text("nothing extracted"), *(text(format_percent(s.get("unextracted"))) for s in scorers.values())]
    )
    return _card("%, with 95 % interval over problems", table(["", *scorers], rows), "card numbers")


def about_tables(summary: Summary) -> list[Html]:
    """Model, data, settings and versions."""
    return [_about(name, summary[name]) for name in ABOUT if summary.get(name)]


def breakdown_tables(summary: Summary) -> list[Html]:
    return [_breakdown(kind, groups, summary) for kind, groups in summary.get("breakdown", {}).items()]


def _with_interval(metric: Mapping[str, Any] | None) -> str:
    if metric is None:
        return "–"
    low, high = metric["interval"]
    return f"{format_percent(metric['value'])}  ({format_percent(low)} to {format_percent(high)})"


def _about(name: str, values: Mapping[str, Any]) -> Html:
    rows = [[text(cut(key, 80)), text(cut(_format_value(value), 2000))] for key, value in values.items()]
    return _card(name, table(("name", "value"), rows), "card about")


def _format_value(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {item}" for key, item in value.items()) or "none"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _breakdown(kind: str, groups: Mapping[str, Mapping[str, Any]], summary: Summary) -> Html:
    columns = [(scorer, f"pass@{k}") for scorer in summary["scores"] for k in ks_of(summary, "pass")]
    heads = [f"{metric} {scorer}" if len(summary["scores"]) > 1 else metric for scorer, metric in columns]
    ranked = sorted(groups.items(), key=lambda item: -item[1]["problems"])
    rows = [_group(name, group, columns) for name, group in ranked[:MAX_GROUPS]]
    more = f", the largest {MAX_GROUPS} of {len(ranked)}" if len(ranked) > MAX_GROUPS else ""
    headers = ["", "problems", *heads, "truncated", "nothing extracted", "tokens, mean"]
    return _card(f"by {cut(kind, 80)}, %{more}", table(headers, rows), "card numbers")


def _group(name: str, group: Mapping[str, Any], columns: Sequence[tuple[str, str]]) -> list[Html]:
    values = [group["scores"].get(scorer, {}).get(metric) for scorer, metric in columns]
    shares = [*values, group.get("truncated"), group.get("unextracted")]
    tokens = group.get("tokens_mean")
    cells = [*map(format_percent, shares), "–" if tokens is None else f"{tokens:.0f}"]
    return [text(cut(name, 80)), text(group["problems"]), *map(text, cells)]


def _card(title: str, content: Html, kind: str) -> Html:
    return element("div", element("h3", text(title)), content, kind=kind)
