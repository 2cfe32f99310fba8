from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from vlm_uec.hub import model_fingerprint

LOCAL = SimpleNamespace(_commit_hash=None)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    return tmp_path / "model"


def test_a_copy_is_the_same_model(model: Path, tmp_path: Path) -> None:
    before = model_fingerprint(str(model), LOCAL, "--model")
    assert len(before) == 64
    assert model_fingerprint(str(model.rename(tmp_path / "moved")), LOCAL, "--model") == before


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_another_byte_or_file_is_another_model(model: Path, name: str) -> None:
    before = model_fingerprint(str(model), LOCAL, "--model")
    with (model / name).open("ab") as file:
        file.write(b"x")
    assert model_fingerprint(str(model), LOCAL, "--model") != before


def test_the_same_bytes_under_other_names_are_another_model(model: Path) -> None:
    before = model_fingerprint(str(model), LOCAL, "--model")
    (model / "config.json").rename(model / "generation_config.json")
    assert model_fingerprint(str(model), LOCAL, "--model") != before


def test_notes_beside_it_change_nothing(model: Path) -> None:
    before = model_fingerprint(str(model), LOCAL, "--model")
    (model / "README.md").write_text("mine")
    (model / "checkpoints").mkdir()
    assert model_fingerprint(str(model), LOCAL, "--model") == before


def test_a_hub_model_is_its_revision() -> None:
    assert model_fingerprint("owner/name", SimpleNamespace(_commit_hash="abc"), "--model") == "revision abc"
