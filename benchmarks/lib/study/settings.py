"""The settings of a study, recorded in its directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vlm_uec.errors import UserError
from vlm_uec.io.strict_json import to_json


def keep_settings(path: Path, settings: Sequence[str]) -> None:
    """Writes them down; raises `UserError` where a study of other ones was begun there."""
    told = to_json({"settings": list(settings)}) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") != told:
        raise UserError(f"{path}: a study of other settings; give --out another directory")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(told, encoding="utf-8")
