"""Loads a config file and command-line arguments into a validated `Config`, and writes one.

Precedence, lowest first: the file's algorithm, the file, an algorithm given as an argument, other arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vlm_uec.config.errors import describe_error, sorted_errors
from vlm_uec.config.fields import config_keys
from vlm_uec.config.file import merge_sections, read_arguments, read_config_file, write_tree
from vlm_uec.config.presets import preset
from vlm_uec.config.schema import Config
from vlm_uec.errors import UserError
from vlm_uec.escape import escape


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads, merges and validates. Raises `UserError` with the key, its value and how to fix it."""
    arguments = read_arguments(overrides, config_keys(Config))
    file_tree = read_config_file(Path(path))
    if "algorithm" in arguments:
        # A section that is not a mapping is an error; the preset must not hide it.
        settings = {
            name: keys
            for name, keys in preset(arguments["algorithm"]).items()
            if isinstance(file_tree.get(name, {}), dict)
        }
        merged = merge_sections(merge_sections(file_tree, settings), arguments)
    else:
        settings = preset(file_tree.get("algorithm", "uec"))
        merged = merge_sections(merge_sections(settings, file_tree), arguments)
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        from_argument = _contains(arguments, sorted_errors(error)[0]["loc"])
        source = "command line" if from_argument else escape(str(path), 200)
        raise UserError(f"{source}: {describe_error(error, Config)}") from None


def dump_config(config: Config) -> str:
    """YAML text that `load_config` loads to an equal config."""
    return write_tree(config.model_dump())


def _contains(tree: Any, keys: Sequence[int | str]) -> bool:
    """Whether the tree has a value at that key, or below it."""
    for key in keys:
        if isinstance(tree, list):
            return True  # a list is one value, at any index
        if not isinstance(tree, dict) or key not in tree:
            return False
        tree = tree[key]
    return bool(keys)
