"""A checkpoint's list of its files, with sizes and hashes.

It tells a damaged or exchanged file before anything reads it; DeepSpeed's loader unpickles, which would run
what a forged file says. It cannot tell a forged checkpoint whose manifest was forged as well.
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


def entries(directory: Path, files: Iterable[Path]) -> dict[str, FileEntry]:
    """Of files under `directory`, which are on the disk when this returns."""
    found = {}
    for path in files:
        fsync(path)
        found[path.relative_to(directory).as_posix()] = _entry(path)
    return found


def write_manifest(directory: Path, files: Files) -> None:
    table = {name: asdict(files[name]) for name in sorted(files)}
    atomic_write(directory / MANIFEST, [json.dumps({"files": table}, indent=1).encode()])


def read_manifest(directory: Path) -> dict[str, FileEntry]:
    """Raises `UserError` where there is none, or it names files outside of the directory."""
    try:
        table = read_json(directory / MANIFEST)["files"]
        return {
            _inside(name): FileEntry(int(row["bytes"]), str(row["sha256"])) for name, row in table.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f"{directory}: no whole checkpoint ({error!r}); resume=PATH picks another") from error


def verify(directory: Path, files: Files, share: slice = slice(None)) -> None:
    """Raises `UserError` where a listed file differs, or one beside them is not listed.

    `share`: the part of the files that is hashed here; other ranks have the others.
    """
    present = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
    unknown = sorted(present - set(files) - {MANIFEST})
    if unknown:
        raise UserError(f"{directory / unknown[0]}: not of this checkpoint; take it away, or resume=PATH")
    for name in sorted(files)[share]:
        path = directory / name
        if name not in present:
            raise _damaged(path, "missing")
        if path.stat().st_size != files[name].bytes:
            raise _damaged(path, f"{path.stat().st_size} bytes instead of {files[name].bytes}")
        if _entry(path) != files[name]:
            raise _damaged(path, "another content than was written")


def _entry(path: Path) -> FileEntry:
    return FileEntry(path.stat().st_size, file_sha256(path))


def _inside(name: Any) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{name!r} is not inside")
    return str(path)


def _damaged(path: Path, how: str) -> UserError:
    return UserError(f"{path}: {how}; resume=PATH picks another checkpoint")
