"""Estimated and measured peak memory side by side, and the estimates that are too far off."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.lib.machine import machine_info

MAX_ERROR = 0.15  # of the measured peak

Row = Mapping[str, Any]  # "estimated" and "measured" GiB, "step" in seconds, and more


def compare_estimates(names: Sequence[str], measure: Callable[[str], Row], out: Path) -> int:
    """Measures and prints each configuration, writes all of them to `out`; returns the exit code."""
    rows: dict[str, Row] = {}
    print(f"{'GiB':<20}{'estimated':>11}{'measured':>10}{'ratio':>7}{'step, s':>9}", flush=True)
    for name in names:
        rows[name] = row = measure(name)
        ratio = row["estimated"] / row["measured"]
        print(f"{name:<20}{row['estimated']:>11.1f}{row['measured']:>10.1f}{ratio:>7.2f}{row['step']:>9.1f}")
        record = {"machine": machine_info(), "ways": rows}
        out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"written to {out}")
    for line in (lines := inaccurate_estimates(rows)):
        print(line)
    return 1 if lines else 0


def inaccurate_estimates(rows: Mapping[str, Row]) -> list[str]:
    """A line for each estimate whose error exceeds `MAX_ERROR`."""
    errors = {name: abs(row["estimated"] / row["measured"] - 1) for name, row in rows.items()}
    return [
        f"{name}: the estimate is off by {error:.0%}, more than {MAX_ERROR:.0%}"
        for name, error in errors.items()
        if error > MAX_ERROR
    ]
