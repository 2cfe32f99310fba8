"""Configs written by tests: a minimal tree, one value by its key, and the message of a rejected config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vlm_uec.config import Config, load_config
from vlm_uec.errors import UserError

MINIMAL: dict[str, dict[str, Any]] = {
    "model": {"path": "m"},
    "data": {"path": "d"},
    "train": {"steps": 1, "run_dir": "r"},
}
SWITCHES = (
    "exploration.enabled",
    "retention.regular",
    "retention.exploration",
    "pending.enabled",
    "overlong_filter.enabled",
    "stabilizer.enabled",
)


def value_at(config: Config, key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def config_error(file: Path, *overrides: str) -> str:
    """The message of the `UserError` that loading raises: one line of bounded length."""
    with pytest.raises(UserError) as caught:
        load_config(file, overrides)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message
