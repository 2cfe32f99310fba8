"""Files that survive the machine: synced before anybody is told of them, replaced whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path


def write_whole(path: Path, pieces: Iterable[bytes]) -> None:
    """The file is there with all of the pieces, or as it was before."""
    # Ranks may write the same file at the same time: each has a name of its own for it until then.
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with beside.open("wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync(path.parent)


def replace_directory(final: Path, beside: Path) -> None:
    """`final` is the directory that was written as `beside`, with all of its files on the disk."""
    for path in (*beside.rglob("*"), beside):
        sync(path)
    before = final.with_name(f".{final.name}.old")
    shutil.rmtree(before, ignore_errors=True)
    if final.exists():
        final.rename(before)
    beside.rename(final)
    sync(final.parent)
    shutil.rmtree(before, ignore_errors=True)


def sync(path: Path) -> None:
    """Returns when the file, or the directory's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
