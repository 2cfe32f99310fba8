"""Durable and atomic writes: files are synced to disk, and replaced completely or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path


def write_whole(path: Path, pieces: Iterable[bytes]) -> None:
    """Replaces the file atomically: it holds all of the pieces, or its former content."""
    # Ranks may write the same file at the same time: each uses its own temporary name.
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with beside.open("wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync(path.parent)


def replace_directory(final: Path, beside: Path) -> None:
    """Syncs the directory `beside` with all of its files, then moves it to `final`, replacing that one."""
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
