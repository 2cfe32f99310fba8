"""Where a data set comes from, as its manifest tells: what was prepared, and what was left out then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_prep.writer import MANIFEST
from vlm_uec.io.bounded_json import read_json

MAX_BYTES = 64 << 20


def prepared(data: str, split: str, fingerprint: str) -> dict[str, Any]:
    """What data_prep says of a split of the directory `data`: settings, problems, rows left out by reason.

    Nothing where there is no manifest, or it is not of these problems, whose `data_fingerprint` is given.
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
