"""The two scripts behind docs/memory.md: the table that is on the page, and the verdict on estimates."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.lib.launching import ROOT
from benchmarks.speed import memory_measured, memory_table


def test_the_table_on_the_page_is_what_the_script_prints(capsys: pytest.CaptureFixture[str]) -> None:
    memory_table.main()
    page = (ROOT / "docs" / "memory.md").read_text(encoding="utf-8")
    told = f"\n\n{capsys.readouterr().out}\n" in page
    assert told, "docs/memory.md is out of date: python benchmarks/speed/memory_table.py"


@pytest.mark.parametrize(("estimated", "code"), [(67.8, 0), (61.0, 0), (80.0, 0), (59.0, 1), (83.0, 1)])
def test_an_estimate_far_from_the_measured_peak_is_told_and_fails(
    estimated: float,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """70.7 GiB, give or take 10.6."""
    row = {"estimated": estimated, "measured": 70.7, "step": 9.4}
    good = {"estimated": 11.2, "measured": 11.4, "step": 18.1}
    rows = {"3B, all weights": row, "3B, LoRA": good}
    ways = {id(memory_measured.WAYS[name]): told for name, told in rows.items()}
    monkeypatch.setattr(memory_measured, "measure", lambda way, *_: ways[id(way)])
    monkeypatch.setattr(memory_measured, "make_model", lambda *_: None)
    out = str(tmp_path / "memory.json")
    monkeypatch.setattr("sys.argv", ["memory_measured.py", "--ways", *rows, "--out", out])
    assert memory_measured.main() == code
    lines = [line for line in capsys.readouterr().out.splitlines() if "is off by" in line]
    assert [line.partition(":")[0] for line in lines] == ["3B, all weights"] * code
