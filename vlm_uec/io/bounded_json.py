"""Reads untrusted JSON files: files over a size limit are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

MAX_BYTES = 64 << 20


def read_json(
    path: Path,
    max_bytes: int = MAX_BYTES,
    object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """The parsed content; `object_pairs_hook` as in `json.loads`.

    Raises ValueError if the file is not JSON or over `max_bytes`, RecursionError if it is nested too deeply.
    """
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"over {max_bytes >> 20} MiB")
    return json.loads(content, object_pairs_hook=object_pairs_hook)
