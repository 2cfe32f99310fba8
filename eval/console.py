"""The summary of an evaluation as console text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlm_uec.escape import escape

MAX_ROWS = 12  # per kind
MAX_KINDS = 5


def console_text(summary: Mapping[str, Any]) -> str:
    """The table of scores, statistics of the responses, problems left out, and the breakdown."""
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
    responses = summary["responses"]
    parts = [f"  {summary['problems']} problems, {summary['samples']} responses"]
    if "tokens_mean" in responses:
        parts.append(f"{responses['tokens_mean']:.1f} tokens on average, {responses['tokens_max']} at most")
    if "truncated" in responses:
        parts.append(f"{100 * responses['truncated']:.2f} % truncated")
    return ", ".join(parts)


def _left_out(data: Mapping[str, Any]) -> list[str]:
    """Problems left out, by reason: the scores are of a part of the data set only."""
    prepared = data.get("prepared", {}).get("left_out", {})
    lines = []
    for source, left_out in (("data_prep", prepared), ("this evaluation", data.get("left_out", {}))):
        if left_out:
            reasons = ", ".join(f"{count} ({escape(str(reason))})" for reason, count in left_out.items())
            lines.append(f"  left out by {source}: {reasons}")
    return lines


def _breakdown(summary: Mapping[str, Any]) -> list[str]:
    kinds = list(summary["breakdown"].items())
    lines = [line for kind, groups in kinds[:MAX_KINDS] for line in _kind(kind, groups, summary)]
    if more := [escape(kind, 34) for kind, _ in kinds[MAX_KINDS:]]:
        lines += ["", f"  further groups in summary.json: by {', '.join(more)}"]
    return lines


def _kind(kind: str, groups: Mapping[str, Any], summary: Mapping[str, Any]) -> list[str]:
    scorers = list(summary["scores"])
    ks = summary["settings"]["k"]
    # With several scorers the table fits one column each.
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
        lines.append(f"  … and {len(largest) - MAX_ROWS} smaller groups in summary.json")
    return lines
