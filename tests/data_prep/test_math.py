"""`python -m data_prep math`: text-only problems from tables."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.__main__ import main
from data_prep.math import final_answer
from vlm_uec.data.dataset import load_problems
from vlm_uec.data.validation import InvalidRow


@pytest.mark.parametrize(
    ("answer", "final"),
    [("5", "5"), (5, "5"), (2.5, "2.5"), ("2 + 3 = <<2+3=5>>5\n#### 5", "5"), ("a #### b #### 7 ", "7")],
)
def test_the_final_answer(answer: object, final: str) -> None:
    assert final_answer(answer) == final


@pytest.mark.parametrize("answer", [None, True, ["5"]])
def test_an_invalid_answer(answer: object) -> None:
    with pytest.raises(InvalidRow, match="neither text nor a number"):
        final_answer(answer)


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
