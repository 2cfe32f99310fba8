"""`python -m data_prep math`: text-only problems from tables."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.__main__ import main
from vlm_uec.data.dataset import load_problems


def _prepare(folder: Path, columns: dict[str, list[object]], *options: str) -> int:
    pq.write_table(pa.table(columns), folder / "train.parquet")
    return main(["math", "--parquet", str(folder / "train.parquet"), "--out", str(folder / "out"), *options])


def test_columns_by_name_become_problems_without_pictures(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {"question": ["1 + 1?", "2 + 2?", ""], "a": ["2", "so #### 4", "5"]}
    assert _prepare(tmp_path, columns, "--problem", "question", "--answer", "a") == 0
    found = load_problems(str(tmp_path / "out"), "train").problems
    assert [(problem.question, problem.answer, problem.images) for problem in found] == [
        ("1 + 1?", "2", ()),
        ("2 + 2?", "4", ()),
    ]


def test_a_missing_column_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _prepare(tmp_path, {"problem": ["1 + 1?"], "solution": ["2"]}) == 2
    assert "column 'answer' is missing, found ['problem', 'solution']" in capsys.readouterr().err
