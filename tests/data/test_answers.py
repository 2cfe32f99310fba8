"""Answers in the forms of other trainers' data sets."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.__main__ import main
from tests.support.tiny import encoded, noise_picture
from vlm_uec.data.answers import FINAL_MARK, NUMBER, TAGS, AnswerText, read_answer
from vlm_uec.data.dataset import load_problems, stream_problems
from vlm_uec.data.rows import RejectedRow
from vlm_uec.data.validation import InvalidRow
from vlm_uec.io.bounded_json import read_json


@pytest.mark.parametrize(
    ("value", "text", "read_from"),
    [
        ("3", "3", None),
        (" x < 3 ", " x < 3 ", None),
        ("<answer> 3 </answer>", "3", TAGS),
        ("<think>1 + 2</think>\n<answer>3</answer>\n", "3", TAGS),
        ("<answer>2</answer> no, <answer>3</answer>", "3", TAGS),
        ("<answer>1 + 2 #### 3</answer>", "3", TAGS),
        ("1 + 2 is 3.\n#### 3", "3", FINAL_MARK),
        ("#### 2 #### 3 ", "3", FINAL_MARK),
        ("1 + 2 ####", "", FINAL_MARK),
        (3, "3", NUMBER),
        (-3, "-3", NUMBER),
        (3.0, "3", NUMBER),
        (2.5, "2.5", NUMBER),
        (100.0, "100", NUMBER),
        (1e-7, "0.0000001", NUMBER),
        (1e22, "10000000000000000000000", NUMBER),
        (Decimal("2.50"), "2.5", NUMBER),
        (np.int64(3), "3", NUMBER),
        (np.float64(0.1), "0.1", NUMBER),
        (np.str_("<answer>3</answer>"), "3", TAGS),
    ],
)
def test_an_answer_becomes_plain_text(value: Any, text: str, read_from: str | None) -> None:
    assert read_answer(value, "answer") == AnswerText(text, read_from)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "'answer' is null"),
        (True, "'answer' is neither text nor a number"),
        (np.bool_(True), "'answer' is neither text nor a number"),
        (float("nan"), "'answer' is neither text nor a number"),
        (float("inf"), "'answer' is neither text nor a number"),
        (["3"], "'answer' is neither text nor a number"),
        ("<answer> 3", "'answer' has only one of <answer> and </answer>"),
        ("3 </answer>", "'answer' has only one of <answer> and </answer>"),
    ],
)
def test_an_unreadable_answer_is_named(value: Any, reason: str) -> None:
    with pytest.raises(InvalidRow) as caught:
        read_answer(value, "answer")
    assert caught.value.reason == reason


def _write(directory: Path, answers: pa.Array | list[str]) -> None:
    directory.mkdir()
    count = len(answers)
    columns = {
        "id": [f"row-{index}" for index in range(count)],
        "images": [[{"bytes": encoded(noise_picture(30, 30, seed=index))}] for index in range(count)],
        "problem": [f"<image>Find {index}." for index in range(count)],
        "answer": answers,
    }
    pq.write_table(pa.table(columns), directory / "train.parquet")


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.decimal128(5, 2)])
def test_columns_of_numbers_are_read(tmp_path: Path, kind: pa.DataType) -> None:
    values = [Decimal(3), Decimal(4)] if pa.types.is_decimal(kind) else [3, 4]
    _write(tmp_path / "set", pa.array(values, kind))
    assert [problem.answer for problem in load_problems(str(tmp_path / "set"), "train").problems] == [
        "3",
        "4",
    ]


def test_answers_are_counted_and_unreadable_ones_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(tmp_path / "in", ["<answer> 3 </answer>", "a #### 4", "5", "<answer>6", "<answer>7</answer>"])
    rejected = [row for row in stream_problems(str(tmp_path / "in"), "train") if isinstance(row, RejectedRow)]
    assert [row.id for row in rejected] == ["row-3"]
    assert main(["geometry3k", "--parquet", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 0
    manifest = read_json(tmp_path / "out" / "manifest.json", 10**6)
    assert manifest["counters"] == {
        "answers read from <answer> tags": 2,
        "answers read from the text after ####": 1,
    }
    assert [entry["id"] for entry in manifest["rejected"]] == ["row-3"]
    capsys.readouterr()
    for directory in ("in", "out"):
        assert main(["inspect", str(tmp_path / directory)]) == 0
        shown = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert ["<answer>", "tags", "2", "(50.0%)"] in shown
        assert ["the", "text", "after", "####", "1", "(25.0%)"] in shown
