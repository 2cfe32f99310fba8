"""The two benchmarks behind docs/memory.md: the page has the printed table, and inaccurate estimates fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.lib.launching import ROOT
from benchmarks.lib.speed.memory_accuracy import compare_estimates
from benchmarks.lib.speed.memory_table import memory_table


def test_the_page_has_the_printed_table() -> None:
    page = (ROOT / "docs" / "memory.md").read_text(encoding="utf-8")
    up_to_date = f"\n\n{memory_table()}\n" in page
    assert up_to_date, "docs/memory.md is out of date: python benchmarks/speed/memory_table.py"


@pytest.mark.parametrize(("estimated", "code"), [(67.8, 0), (61.0, 0), (80.0, 0), (59.0, 1), (83.0, 1)])
def test_an_inaccurate_estimate_is_reported_and_fails(
    estimated: float, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """70.7 GiB, give or take 10.6."""
    row = {"estimated": estimated, "measured": 70.7, "step": 9.4}
    good = {"estimated": 11.2, "measured": 11.4, "step": 18.1}
    rows = {"3B, all weights": row, "3B, LoRA": good}
    assert compare_estimates(list(rows), rows.__getitem__, tmp_path / "memory.json") == code
    lines = [line for line in capsys.readouterr().out.splitlines() if "is off by" in line]
    assert [line.partition(":")[0] for line in lines] == ["3B, all weights"] * code
