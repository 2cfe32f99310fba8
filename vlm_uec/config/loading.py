"""From a file and arguments to a checked config, and back.

Order of precedence, lowest first: the file's algorithm, the file, an algorithm given as an argument, other
arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vlm_uec.config.errors import explain, faults_of
from vlm_uec.config.fields import config_keys
from vlm_uec.config.file import merge, read_arguments, read_config_file, write_tree
from vlm_uec.config.presets import preset
from vlm_uec.config.schema import Config
from vlm_uec.errors import UserError
from vlm_uec.escape import escape


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads, merges and checks; raises `UserError` naming the key, its value and the way out."""
    arguments = read_arguments(overrides, config_keys(Config))
    written = read_config_file(Path(path))
    if "algorithm" in arguments:
        # A section that is no tree is a fault to be told, not to be covered up.
        whole = {
            name: keys
            for name, keys in preset(arguments["algorithm"]).items()
            if isinstance(written.get(name, {}), dict)
        }
        given = merge(merge(written, whole), arguments)
    else:
        given = merge(merge(preset(written.get("algorithm", "uec")), written), arguments)
    try:
        return Config.model_validate(given)
    except ValidationError as error:
        of_argument = _holds(arguments, faults_of(error)[0]["loc"])
        source = "command line" if of_argument else escape(str(path), 200)
        raise UserError(f"{source}: {explain(error, Config)}") from None


def _holds(tree: Any, keys: Sequence[int | str]) -> bool:
    """Whether the tree has a value at that key, or below it."""
    for key in keys:
        if isinstance(tree, list):
            return True  # one value, whichever of its items is meant
        if not isinstance(tree, dict) or key not in tree:
            return False
        tree = tree[key]
    return bool(keys)


def dump_config(config: Config) -> str:
    """YAML that `load_config` reads back to an equal config."""
    return write_tree(config.model_dump())
