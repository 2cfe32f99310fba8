from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.writer import write_dataset
from tests.support.tiny import encoded, noise_picture
from vlm_uec.data.mixture import load_mixture
from vlm_uec.errors import UserError
from vlm_uec.types import Problem


def _data_set(path: Path, *questions: str) -> str:
    picture = encoded(noise_picture(30, 30))
    problems = [
        Problem(str(number), f"<image>{text}", "1", (picture,)) for number, text in enumerate(questions)
    ]
    write_dataset(path, {"train": problems}, {})
    return str(path)


def test_equal_ids_of_different_data_sets_are_distinguished(tmp_path: Path) -> None:
    one, two = _data_set(tmp_path / "one", "a", "b"), _data_set(tmp_path / "two", "c")
    loaded = load_mixture([one, two], "train")
    assert [problem.id for problem in loaded.problems] == [f"{one}:0", f"{one}:1", f"{two}:0"]
    assert [problem.question[-1] for problem in loaded.problems] == ["a", "b", "c"]
    assert loaded.ids == {one: (f"{one}:0", f"{one}:1"), two: (f"{two}:0",)}


def test_rejected_rows_are_counted_by_data_set(tmp_path: Path) -> None:
    paths = []
    for name, answers in (("one", ["1", "", " "]), ("two", ["", "1"])):
        (tmp_path / name).mkdir()
        rows = {"images": [[]] * len(answers), "problem": ["abc"[: n + 1] for n in range(len(answers))]}
        pq.write_table(pa.table({**rows, "answer": answers}), tmp_path / name / "train.parquet")
        paths.append(str(tmp_path / name))
    rejected = load_mixture(paths, "train").rejected
    assert rejected == {f"{paths[0]}: empty answer": 2, f"{paths[1]}: empty answer": 1}


def test_a_single_data_set_keeps_its_ids(tmp_path: Path) -> None:
    one = _data_set(tmp_path / "one", "a", "b")
    assert [problem.id for problem in load_mixture([one], "train").problems] == ["0", "1"]


def test_a_missing_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        load_mixture([_data_set(tmp_path / "one", "a"), str(tmp_path / "nowhere")], "train")
