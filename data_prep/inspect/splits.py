"""Which splits a directory of parquet files holds, and what data_prep left out of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError

from data_prep.writer import MANIFEST, SPLITS
from vlm_uec.data.dataset import parquet_files
from vlm_uec.data.tables import split_of
from vlm_uec.errors import UserError

_MAX_MANIFEST_BYTES = 64 * 2**20


def splits_of(directory: Path) -> list[str]:
    """Names that `load_problems` takes: train, validation and test first, then others by name.

    Raises `UserError` where there is no such directory, or no parquet file in it or its folder `data`.
    """
    try:
        files = parquet_files(directory) if directory.is_dir() else None
    except OSError as error:
        raise UserError(f"{directory}: cannot be read: {error.strerror}; give another directory") from error
    if files is None:
        raise UserError(f"{directory}: no such directory; write one with 'python -m data_prep'")
    if not files:
        raise UserError(f"{directory}: no parquet file there or in its folder data; is it a dataset?")
    names = set(map(split_of, files))
    return sorted(names, key=lambda name: (SPLITS.index(name) if name in SPLITS else len(SPLITS), name))


class _Manifest(BaseModel):
    rejected_counts: dict[str, dict[str, int]] = {}


def left_out_before(directory: Path) -> Mapping[str, Counter[str]]:
    """Reasons and counts by split, as data_prep's manifest has them; a file of another form says nothing."""
    file = directory / MANIFEST
    try:
        if file.stat().st_size > _MAX_MANIFEST_BYTES:
            return {}
        manifest = _Manifest.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return {}
    return {split: Counter(reasons) for split, reasons in manifest.rejected_counts.items()}
