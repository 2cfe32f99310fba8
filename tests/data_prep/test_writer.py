from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.writer import write_dataset
from vlm_uec.errors import UserError
from vlm_uec.types import Problem

PROBLEM = Problem("p", "1 + 1?", "2")


def test_files_of_the_user_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "test.parquet").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"contains test\.parquet without a manifest\.json"):
        write_dataset(tmp_path, {"train": [PROBLEM]}, {})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"test.parquet": b"mine"}


def test_files_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    write_dataset(tmp_path, {"train": [PROBLEM], "test": [PROBLEM]}, {})
    write_dataset(tmp_path, {"train": [PROBLEM]}, {})
    assert {path.name for path in tmp_path.iterdir()} == {"train.parquet", "manifest.json"}
