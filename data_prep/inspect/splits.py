"""The splits of a directory of parquet files, and the rows that data_prep rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError

from data_prep.writer import MANIFEST, SPLITS
from vlm_uec.data.dataset import parquet_files
from vlm_uec.data.tables import split_name
from vlm_uec.errors import UserError

_MAX_MANIFEST_BYTES = 64 * 2**20


def list_splits(directory: Path) -> list[str]:
    """Split names for `load_problems`: train, validation and test first, then the others by name.

    Raises `UserError` if the directory is missing or contains no parquet file, also not in its folder `data`.
    """
    try:
        files = parquet_files(directory) if directory.is_dir() else None
    except OSError as error:
        raise UserError(f"{directory}: cannot be read: {error.strerror}; give another directory") from error
    if files is None:
        raise UserError(f"{directory}: no such directory; write one with 'python -m data_prep'")
    if not files:
        raise UserError(f"{directory}: no parquet file in it or in its folder data; is it a dataset?")
    names = set(map(split_name, files))
    return sorted(names, key=lambda name: (SPLITS.index(name) if name in SPLITS else len(SPLITS), name))


class _Manifest(BaseModel):
    rejected_counts: dict[str, dict[str, int]] = {}


def rejected_by_data_prep(directory: Path) -> Mapping[str, Counter[str]]:
    """Counts by split and reason, from data_prep's manifest; empty if it is missing or has another format."""
    file = directory / MANIFEST
    try:
        if file.stat().st_size > _MAX_MANIFEST_BYTES:
            return {}
        manifest = _Manifest.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return {}
    return {split: Counter(reasons) for split, reasons in manifest.rejected_counts.items()}
