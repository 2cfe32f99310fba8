"""Names of models and data sets: a directory here, or an id of the Hugging Face Hub."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vlm_uec.errors import UserError

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
def silence_hub_retries() -> Iterator[None]:
    """Without network the Hub's client writes two lines a retry: the error at the end says it all."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


_SUFFIXES = {".json", ".safetensors", ".bin", ".jinja", ".txt", ".model"}
_READERS = 4  # files at a time: hashing lets go of the interpreter


def model_fingerprint(path: str, config: Any, setting: str) -> str:
    """Hex SHA-256 over the names and contents of a model directory's files; of a Hub id, its revision.

    `config` is what transformers read at that path. Raises UserError, beginning with `setting`, where a file
    cannot be read.
    """
    revision = getattr(config, "_commit_hash", None)
    if not Path(path).is_dir():
        if revision is None:
            raise UserError(
                f"{setting} {path}: its revision is not known; download it, and give the directory"
            )
        return f"revision {revision}"
    files = sorted(file for file in Path(path).iterdir() if file.suffix in _SUFFIXES and file.is_file())
    try:
        with ThreadPoolExecutor(_READERS) as readers:
            digests = list(readers.map(_sha256, files))
    except OSError as error:
        raise UserError(f"{setting} {path}: cannot be read ({error.strerror}: {error.filename})") from error
    whole = hashlib.sha256()
    for file, digest in zip(files, digests, strict=True):
        whole.update(file.name.encode() + b"\0" + digest)
    return whole.hexdigest()


def _sha256(file: Path) -> bytes:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").digest()
