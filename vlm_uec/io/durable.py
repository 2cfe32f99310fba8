"""Durable and atomic writes: files are synced to disk, and replaced completely or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path


def atomic_write(path: Path, pieces: Iterable[bytes]) -> None:
    """Replaces the file atomically: it contains all pieces, or its former content."""
    # Ranks may write the same file concurrently: each uses its own temporary name.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with temporary.open("wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    fsync(path.parent)


def replace_directory(final: Path, temporary: Path) -> None:
    """Syncs the directory `temporary` with all of its files, then moves it to `final`, which it replaces."""
    for path in (*temporary.rglob("*"), temporary):
        fsync(path)
    previous = final.with_name(f".{final.name}.old")
    shutil.rmtree(previous, ignore_errors=True)
    if final.exists():
        final.rename(previous)
    temporary.rename(final)
    fsync(final.parent)
    shutil.rmtree(previous, ignore_errors=True)


def fsync(path: Path) -> None:
    """Syncs a file, or the entries of a directory, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
