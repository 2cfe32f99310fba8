"""The origin of a data set, from its manifest: preparation settings and rows left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_prep.writer import MANIFEST
from vlm_uec.io.bounded_json import read_json

MAX_BYTES = 64 << 20


def read_preparation(data: str, split: str, fingerprint: str) -> dict[str, Any]:
    """The manifest's record of a split of `data`: settings, number of problems, rows left out by reason.

    `fingerprint`: `data_fingerprint` of the split. Empty without a manifest of these problems.
    """
    path = Path(data) / MANIFEST
    try:
        manifest = read_json(path, MAX_BYTES)
        if manifest["sha256"][split] != fingerprint:
            return {}
        return {
            **manifest["settings"],
            "problems": manifest["counts"][split],
            "left_out": manifest["rejected_counts"][split],
        }
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}  # an external data set without a manifest
