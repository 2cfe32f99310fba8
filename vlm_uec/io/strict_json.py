"""Serialises to JSON that every parser accepts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def to_json(row: Mapping[str, Any]) -> str:
    """One valid JSON line; NaN and infinities become null, in nested values too."""
    return json.dumps(_finite(row), ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
