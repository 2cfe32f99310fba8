"""The table of counts with their bounds."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.lib.speed.gpu_counts.rows import CountRow


def holds(row: CountRow) -> bool:
    return row.bound is None or row.value <= row.bound


def format_table(rows: Sequence[CountRow]) -> str:
    width = max(len(row.name) for row in rows)
    lines = [f"{'':<{width}}  {'count':>10} {'at most':>8}"]
    for row in rows:
        bound = "" if row.bound is None else f"{row.bound:>8,.4g} {'' if holds(row) else 'EXCEEDED'}"
        lines.append(f"{row.name:<{width}}  {f'{row.value:,.4g} {row.unit}':>10} {bound}".rstrip())
    return "\n".join(lines)
