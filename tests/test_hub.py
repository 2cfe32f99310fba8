from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from vlm_uec.hub import may_be_hub_id, model_fingerprint

LOCAL = SimpleNamespace(_commit_hash=None)


@pytest.mark.parametrize("name", ["hiyouga/geometry3k", "Qwen/Qwen2.5-VL-7B-Instruct", "gpt2"])
def test_names_that_may_be_hub_ids(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert may_be_hub_id(name)


@pytest.mark.parametrize(
    "name", ["/no/data", "./data", "../data", "a/b/c", "", "data/", "data/a b", "~/data"]
)
def test_paths_are_not_hub_ids(name: str) -> None:
    assert not may_be_hub_id(name)


def test_name_below_an_existing_folder_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So an unprepared data set such as data/geometry3k is not looked up on the Hub."""
    monkeypatch.chdir(tmp_path)
    assert may_be_hub_id("data/geometry3k")
    (tmp_path / "data").mkdir()
    assert not may_be_hub_id("data/geometry3k")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    return tmp_path / "model"


def test_fingerprint_of_a_moved_model_is_equal(model: Path, tmp_path: Path) -> None:
    before = model_fingerprint(str(model), LOCAL, "--model")
    assert len(before) == 64
    assert model_fingerprint(str(model.rename(tmp_path / "moved")), LOCAL, "--model") == before


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_fingerprint_changes_with_a_byte_or_a_file(model: Path, name: str) -> None:
    before = model_fingerprint(str(model), LOCAL, "--model")
    with (model / name).open("ab") as file:
        file.write(b"x")
    assert model_fingerprint(str(model), LOCAL, "--model") != before


def test_fingerprint_changes_with_file_names(model: Path) -> None:
    before = model_fingerprint(str(model), LOCAL, "--model")
    (model / "config.json").rename(model / "generation_config.json")
    assert model_fingerprint(str(model), LOCAL, "--model") != before


def test_fingerprint_ignores_other_files(model: Path) -> None:
    before = model_fingerprint(str(model), LOCAL, "--model")
    (model / "README.md").write_text("mine")
    (model / "checkpoints").mkdir()
    assert model_fingerprint(str(model), LOCAL, "--model") == before


def test_fingerprint_of_a_hub_model_is_its_revision() -> None:
    assert model_fingerprint("owner/name", SimpleNamespace(_commit_hash="abc"), "--model") == "revision abc"
