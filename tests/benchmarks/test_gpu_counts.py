"""The counts of a GPU's work hold their bounds."""

from __future__ import annotations

import sys

import pytest

from benchmarks.lib.speed.gpu_counts.rows import CountRow
from benchmarks.lib.speed.gpu_counts.table import format_table, holds
from tests.support.launch import execute


@pytest.mark.end_to_end
def test_every_count_holds_its_bound() -> None:
    done = execute([sys.executable, "benchmarks/speed/gpu_counts.py"])
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    for name in ("host synchronisations", "head, 3B", "block mask"):
        assert name in done.stdout


def test_a_row_over_its_bound_is_named() -> None:
    rows = [CountRow("a", 2.0, "MB", 1.5), CountRow("b", 1500.0, "", None), CountRow("c", 3.0, "s", 3.0)]
    assert [holds(row) for row in rows] == [False, True, True]
    lines = format_table(rows).splitlines()[1:]
    assert [line.split() for line in lines] == [
        ["a", "2", "MB", "1.5", "EXCEEDED"],
        ["b", "1,500"],
        ["c", "3", "s", "3"],
    ]
