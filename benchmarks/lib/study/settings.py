"""The settings of a study, recorded in its directory, so that it cannot be resumed with others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vlm_uec.errors import UserError
from vlm_uec.io.strict_json import to_json


def record_settings(path: Path, settings: Sequence[str]) -> None:
    """Writes the settings file; raises `UserError` if it exists with other settings."""
    text = to_json({"settings": list(settings)}) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise UserError(f"{path}: a study with other settings; choose another --out directory")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
