"""JSON that others may have touched: read whole only where it is small enough to be ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MAX_BYTES = 64 << 20


def read_json(path: Path, most: int = MAX_BYTES) -> Any:
    """Raises ValueError where it is no JSON or over `most` bytes, RecursionError where it nests too deep."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"over {most >> 20} MiB")
    return json.loads(content)
