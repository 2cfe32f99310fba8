"""A summary as the console shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlm_uec.escape import escape

MAX_ROWS = 12  # of a kind
MAX_KINDS = 5


def console_text(summary: Mapping[str, Any]) -> str:
    """The main table, then what the responses were like, then the breakdown by the first scorer."""
    left_out = _left_out(summary.get("data", {}))
    return "\n".join([*_scores(summary), "", _responses(summary), *left_out, *_breakdown(summary)])


def _scores(summary: Mapping[str, Any]) -> list[str]:
    scorers = list(summary["scores"])
    metrics = dict.fromkeys(
        metric for scores in summary["scores"].values() for metric in scores if "@" in metric
    )
    lines = ["  %, with 95 % interval" + "".join(f"{scorer:>26}" for scorer in scorers)]
    for metric in metrics:
        cells = [_with_interval(summary["scores"][scorer].get(metric)) for scorer in scorers]
        lines.append(f"  {metric:<21}" + "".join(f"{cell:>26}" for cell in cells))
    unextracted = [summary["scores"][scorer].get("unextracted") for scorer in scorers]
    shares = ["-" if share is None else f"{100 * share:.2f}" for share in unextracted]
    return [*lines, f"  {'nothing extracted':<21}" + "".join(f"{share:>26}" for share in shares)]


def _with_interval(metric: Mapping[str, Any] | None) -> str:
    if metric is None:
        return "-"
    low, high = metric["interval"]
    return f"{100 * metric['value']:.2f}  ({100 * low:.2f} to {100 * high:.2f})"


def _responses(summary: Mapping[str, Any]) -> str:
    told = summary["responses"]
    parts = [f"  {summary['problems']} problems, {summary['samples']} responses"]
    if "tokens_mean" in told:
        parts.append(f"{told['tokens_mean']:.1f} tokens on average, {told['tokens_max']} at most")
    if "truncated" in told:
        parts.append(f"{100 * told['truncated']:.2f} % truncated")
    return ", ".join(parts)


def _left_out(data: Mapping[str, Any]) -> list[str]:
    """What the numbers are not of: a part must not be taken for the whole."""
    prepared = data.get("prepared", {}).get("left_out", {})
    lines = []
    for by, left in (("data_prep", prepared), ("this evaluation", data.get("left_out", {}))):
        if left:
            told = ", ".join(f"{count} ({escape(str(reason))})" for reason, count in left.items())
            lines.append(f"  left out by {by}: {told}")
    return lines


def _breakdown(summary: Mapping[str, Any]) -> list[str]:
    kinds = list(summary["breakdown"].items())
    lines = [line for kind, groups in kinds[:MAX_KINDS] for line in _kind(kind, groups, summary)]
    if more := [escape(kind, 34) for kind, _ in kinds[MAX_KINDS:]]:
        lines += ["", f"  in summary.json also by {', '.join(more)}"]
    return lines


def _kind(kind: str, groups: Mapping[str, Any], summary: Mapping[str, Any]) -> list[str]:
    scorers = list(summary["scores"])
    ks = summary["settings"]["k"]
    # Several scorers have room for one column each.
    shown = dict.fromkeys(ks[:1] if len(scorers) > 1 else (ks[0], ks[-1]))
    columns = [(scorer, f"pass@{k}") for scorer in scorers for k in shown]
    heads = [f"{metric} {scorer}" if len(scorers) > 1 else metric for scorer, metric in columns]
    lines = ["", f"  {escape(kind, 33):<35}{'problems':>9}" + "".join(f"{head:>17}" for head in heads)]
    largest = sorted(groups.items(), key=lambda item: -item[1]["problems"])
    for name, group in largest[:MAX_ROWS]:
        values = [100 * group["scores"][scorer][metric] for scorer, metric in columns]
        cells = "".join(f"{value:>17.2f}" for value in values)
        lines.append(f"  {escape(name, 33):<35}{group['problems']:>9}{cells}")
    if len(largest) > MAX_ROWS:
        lines.append(f"  … and {len(largest) - MAX_ROWS} smaller ones in summary.json")
    return lines
