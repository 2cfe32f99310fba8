"""JSON that others may have touched: read whole only where it is small enough to be ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MAX_BYTES = 64 << 20


def read_json(path: Path) -> Any:
    """Raises ValueError where it is no JSON or over `MAX_BYTES`, RecursionError where it nests too deep."""
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"over {MAX_BYTES >> 20} MiB")
    return json.loads(content)
