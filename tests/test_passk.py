from __future__ import annotations

from pathlib import Path

import pytest

from eval.passk import check_arguments, parse_arguments
from vlm_uec.errors import UserError


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("in the way")
    return tmp_path / "file" / "out"


def _check(out: Path, *options: str) -> None:
    check_arguments(parse_arguments(["--model", "m", "--data", "d", "--out", str(out), *options]))


def test_an_output_folder_that_cannot_be_is_told_before_any_model_loads(nowhere: Path) -> None:
    with pytest.raises(UserError, match=r"--out .* cannot be written"):
        _check(nowhere)


def test_only_the_first_rank_looks(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranks that make and remove one folder at a time would find it gone."""
    monkeypatch.setenv("RANK", "1")
    _check(nowhere)


@pytest.mark.parametrize("option", ["--n", "--samples"])
def test_the_number_of_samples_has_a_name_that_the_launcher_leaves_alone(tmp_path: Path, option: str) -> None:
    with pytest.raises(UserError, match="--k 4: must be between 1 and --n 2"):
        _check(tmp_path / "out", option, "2", "--k", "4")
