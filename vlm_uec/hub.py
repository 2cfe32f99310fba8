"""Names of models and data sets: a directory here, or an id of the Hugging Face Hub."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


def is_here(name: str) -> bool:
    """Whether there is a file or directory of that name, however long it is."""
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        return False


def may_be_hub_id(name: str) -> bool:
    """Whether it is worth asking the Hub: not where the name's first folder is here, and only its last part
    is missing, which is a slip."""
    if not _HUB_ID.fullmatch(name):
        return False
    folder, slash, _ = name.partition("/")
    return not (slash and Path(folder).is_dir())


def not_here(name: str) -> str:
    """What to tell of a name that is neither."""
    folder, slash, _ = name.partition("/")
    if slash and _HUB_ID.fullmatch(name):
        return f"no such directory (and with a folder {folder} here, it is not looked for on the Hub)"
    return "no such directory, and no Hub id"


@contextmanager
def hub_retries_untold() -> Iterator[None]:
    """Without network the Hub's client writes two lines a retry: the error at the end says it all."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
