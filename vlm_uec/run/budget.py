"""The reduced micro-batch budget after an out-of-memory error, saved in the run directory for resuming."""

from __future__ import annotations

import json
from pathlib import Path

from vlm_uec.errors import UserError
from vlm_uec.io.bounded_json import read_json
from vlm_uec.io.durable import atomic_write

FILE = "microbatch_tokens.json"


def save_budget(run_dir: Path, positions: int, why: str) -> None:
    atomic_write(run_dir / FILE, [json.dumps({"positions": positions, "why": why}).encode()])


def load_budget(run_dir: Path, configured: int) -> int:
    """The configured budget, or the smaller saved one. Raises `UserError` for a damaged file."""
    path = run_dir / FILE
    if not path.is_file():
        return configured
    try:
        return min(configured, max(1, int(read_json(path)["positions"])))
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read ({error!r}); remove it") from error
