"""A checkpoint whose files have changed is rejected before anything reads them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from vlm_uec.checkpoint.manifest import read_manifest, sync_and_hash, verify_files, write_manifest
from vlm_uec.errors import UserError


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    (tmp_path / "zero").mkdir()
    for name in ("zero/a.pt", "zero/b.pt", "state.json"):
        (tmp_path / name).write_bytes(name.encode())
    write_manifest(tmp_path, sync_and_hash(tmp_path, [p for p in tmp_path.rglob("*") if p.is_file()]))
    return tmp_path


def test_unchanged_files_are_accepted(checkpoint: Path) -> None:
    files = read_manifest(checkpoint)
    verify_files(checkpoint, files)
    assert {name: entry.bytes for name, entry in files.items()} == {
        "state.json": 10,
        "zero/a.pt": 9,
        "zero/b.pt": 9,
    }


def _change(checkpoint: Path) -> None:
    (checkpoint / "zero/b.pt").write_bytes(b"zero/c.pt")


def _cut(checkpoint: Path) -> None:
    (checkpoint / "zero/b.pt").write_bytes(b"zero")


def _remove(checkpoint: Path) -> None:
    (checkpoint / "zero/b.pt").unlink()


def _add(checkpoint: Path) -> None:
    (checkpoint / "zero/z.pt").touch()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_change, r"zero/b\.pt: its content has changed"),
        (_cut, r"zero/b\.pt: 4 bytes instead of 9"),
        (_remove, r"zero/b\.pt: missing"),
        (_add, r"zero/z\.pt: does not belong to this checkpoint"),
    ],
)
def test_the_error_names_a_changed_file(
    checkpoint: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(checkpoint)
    with pytest.raises(UserError, match=message):
        verify_files(checkpoint, read_manifest(checkpoint))


def test_ranks_share_the_hashing(checkpoint: Path) -> None:
    """Sorted: state.json, zero/a.pt, zero/b.pt. Of two ranks, the first hashes the first and the last."""
    _change(checkpoint)
    files = read_manifest(checkpoint)
    verify_files(checkpoint, files, slice(1, None, 2))
    with pytest.raises(UserError, match=r"b\.pt"):
        verify_files(checkpoint, files, slice(0, None, 2))


@pytest.mark.parametrize(
    "table",
    [
        None,
        [],
        {"files": []},
        {"files": {"a": {}}},
        {"files": {"../a": {"bytes": 1, "sha256": ""}}},
        {"files": {"/a": {"bytes": 1, "sha256": ""}}},
    ],
)
def test_a_damaged_manifest_is_rejected(tmp_path: Path, table: object) -> None:
    if table is not None:
        (tmp_path / "manifest.json").write_text(json.dumps(table), encoding="utf-8")
    with pytest.raises(UserError, match="incomplete or damaged checkpoint"):
        read_manifest(tmp_path)
