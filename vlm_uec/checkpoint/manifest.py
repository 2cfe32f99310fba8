"""A checkpoint's manifest: its files with sizes and hashes.

It detects damaged or replaced files before they are read; DeepSpeed's loader unpickles, which could run code
from a forged file. It does not detect a checkpoint whose manifest was forged, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vlm_uec.errors import UserError
from vlm_uec.io.bounded_json import read_json
from vlm_uec.io.digest import file_sha256
from vlm_uec.io.durable import atomic_write, fsync

MANIFEST = "manifest.json"
Files = Mapping[str, "FileEntry"]  # by path within the checkpoint


@dataclass(frozen=True)
class FileEntry:
    bytes: int
    sha256: str


def sync_and_hash(directory: Path, files: Iterable[Path]) -> dict[str, FileEntry]:
    """Flushes files under `directory` to disk and returns their entries."""
    entries = {}
    for path in files:
        fsync(path)
        entries[path.relative_to(directory).as_posix()] = _entry(path)
    return entries


def write_manifest(directory: Path, files: Files) -> None:
    table = {name: asdict(files[name]) for name in sorted(files)}
    atomic_write(directory / MANIFEST, [json.dumps({"files": table}, indent=1).encode()])


def read_manifest(directory: Path) -> dict[str, FileEntry]:
    """The manifest's entries. Raises `UserError` if it is missing, invalid or has outside files."""
    try:
        table = read_json(directory / MANIFEST)["files"]
        return {
            _relative_path(name): FileEntry(int(row["bytes"]), str(row["sha256"]))
            for name, row in table.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{directory}: incomplete or damaged checkpoint ({error!r}); choose another with resume=PATH"
        ) from error


def verify_files(directory: Path, files: Files, share: slice = slice(None)) -> None:
    """Raises `UserError` if a file differs from its entry, is missing, or is not listed.

    `share`: the part of the files that this rank hashes.
    """
    present = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
    unknown = sorted(present - set(files) - {MANIFEST})
    if unknown:
        raise UserError(
            f"{directory / unknown[0]}: does not belong to this checkpoint; remove it, or set resume=PATH"
        )
    for name in sorted(files)[share]:
        path = directory / name
        if name not in present:
            raise _damaged(path, "missing")
        if path.stat().st_size != files[name].bytes:
            raise _damaged(path, f"{path.stat().st_size} bytes instead of {files[name].bytes}")
        if _entry(path) != files[name]:
            raise _damaged(path, "its content has changed")


def _entry(path: Path) -> FileEntry:
    return FileEntry(path.stat().st_size, file_sha256(path))


def _relative_path(name: Any) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{name!r} is outside of the checkpoint")
    return str(path)


def _damaged(path: Path, fault: str) -> UserError:
    return UserError(f"{path}: {fault}; choose another checkpoint with resume=PATH")
