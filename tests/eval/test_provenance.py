from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval.provenance import read_preparation

MANIFEST = {
    "settings": {"dataset": "mathvista", "source_split": "testmini"},
    "counts": {"test": 126},
    "rejected_counts": {"test": {"missing picture": 874}},
    "sha256": {"test": "aa"},
}


def _folder(path: Path, manifest: Any) -> str:
    (path / "manifest.json").write_text(json.dumps(manifest))
    return str(path)


def test_settings_and_counts_are_read_from_the_manifest(tmp_path: Path) -> None:
    assert read_preparation(_folder(tmp_path, MANIFEST), "test", "aa") == {
        "dataset": "mathvista",
        "source_split": "testmini",
        "problems": 126,
        "left_out": {"missing picture": 874},
    }


def test_manifest_of_other_problems_is_ignored(tmp_path: Path) -> None:
    """For example, if a data file was replaced by hand."""
    assert read_preparation(_folder(tmp_path, MANIFEST), "test", "bb") == {}
    assert read_preparation(_folder(tmp_path, MANIFEST), "train", "aa") == {}


@pytest.mark.parametrize("manifest", [[], {}, 7, {**MANIFEST, "settings": 3}, {**MANIFEST, "sha256": []}])
def test_invalid_manifest_is_ignored(tmp_path: Path, manifest: Any) -> None:
    assert read_preparation(_folder(tmp_path, manifest), "test", "aa") == {}


def test_hub_id_and_file_have_no_manifest(tmp_path: Path) -> None:
    assert read_preparation("owner/name", "test", "aa") == {}
    (tmp_path / "testmini.json").write_text("{}")
    assert read_preparation(str(tmp_path / "testmini.json"), "test", "aa") == {}
