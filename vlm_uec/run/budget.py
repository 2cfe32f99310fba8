"""The micro-batch budget that a run found out not to fit, kept beside its metrics for the next start."""

from __future__ import annotations

import json
from pathlib import Path

from vlm_uec.errors import UserError
from vlm_uec.io.bounded_json import read_json
from vlm_uec.io.durable import write_whole

FILE = "microbatch_tokens.json"


def remember_budget(run_dir: Path, positions: int, why: str) -> None:
    write_whole(run_dir / FILE, [json.dumps({"positions": positions, "why": why}).encode()])


def remembered_budget(run_dir: Path, configured: int) -> int:
    """As configured, or less where that did not fit before. Raises `UserError` on a damaged file."""
    path = run_dir / FILE
    if not path.is_file():
        return configured
    try:
        return min(configured, max(1, int(read_json(path)["positions"])))
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read ({error!r}); remove it") from error
