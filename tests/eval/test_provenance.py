from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval.provenance import prepared

MANIFEST = {
    "settings": {"dataset": "mathvista", "source_split": "testmini"},
    "counts": {"test": 126},
    "rejected_counts": {"test": {"missing picture": 874}},
    "sha256": {"test": "aa"},
}


def _folder(path: Path, manifest: Any) -> str:
    (path / "manifest.json").write_text(json.dumps(manifest))
    return str(path)


def test_what_was_prepared_and_what_was_left_out(tmp_path: Path) -> None:
    assert prepared(_folder(tmp_path, MANIFEST), "test", "aa") == {
        "dataset": "mathvista",
        "source_split": "testmini",
        "problems": 126,
        "left_out": {"missing picture": 874},
    }


def test_a_manifest_of_other_problems_says_nothing(tmp_path: Path) -> None:
    """A file was replaced by hand."""
    assert prepared(_folder(tmp_path, MANIFEST), "test", "bb") == {}
    assert prepared(_folder(tmp_path, MANIFEST), "train", "aa") == {}


@pytest.mark.parametrize("manifest", [[], {}, 7, {**MANIFEST, "settings": 3}, {**MANIFEST, "sha256": []}])
def test_what_is_no_manifest_says_nothing(tmp_path: Path, manifest: Any) -> None:
    assert prepared(_folder(tmp_path, manifest), "test", "aa") == {}


def test_a_hub_id_or_a_file_has_none(tmp_path: Path) -> None:
    assert prepared("owner/name", "test", "aa") == {}
    (tmp_path / "testmini.json").write_text("{}")
    assert prepared(str(tmp_path / "testmini.json"), "test", "aa") == {}
