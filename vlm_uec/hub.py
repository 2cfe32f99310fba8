"""Names of models and data sets (local directory or Hugging Face Hub id), and fingerprints of models."""

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
from vlm_uec.io.digest import file_sha256

_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_MODEL_SUFFIXES = {".json", ".safetensors", ".bin", ".jinja", ".txt", ".model"}
_HASH_THREADS = 4  # hashing releases the interpreter lock


def exists_locally(name: str) -> bool:
    """Whether a local file or directory has this name; False for names that are too long for a path."""
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        return False


def may_be_hub_id(name: str) -> bool:
    """Whether to look the name up on the Hub.

    False if its first folder exists locally: then the name is a path whose last part is missing.
    """
    if not _HUB_ID.fullmatch(name):
        return False
    folder, slash, _ = name.partition("/")
    return not (slash and Path(folder).is_dir())


def missing_reason(name: str) -> str:
    """The reason, for an error message, why a name is neither a local directory nor a Hub id."""
    folder, slash, _ = name.partition("/")
    if slash and _HUB_ID.fullmatch(name):
        return f"no such directory (and not looked up on the Hub, because a folder {folder} exists here)"
    return "no such directory, and not a valid Hub id"


@contextmanager
def silence_hub_retries() -> Iterator[None]:
    """Hides the Hub client's retry warnings, two lines each; the final error has the same information."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def model_fingerprint(path: str, config: Any, setting: str) -> str:
    """Hex SHA-256 over the names and contents of a model directory's files; the revision of a Hub id.

    `config` is the model config that transformers loaded from `path`. Raises UserError, beginning with
    `setting`, if a file cannot be read or the Hub revision is unknown.
    """
    if not Path(path).is_dir():
        revision = getattr(config, "_commit_hash", None)
        if revision is None:
            raise UserError(f"{setting} {path}: unknown Hub revision; download it and give the directory")
        return f"revision {revision}"
    try:
        return _directory_sha256(Path(path))
    except OSError as error:
        raise UserError(f"{setting} {path}: cannot be read ({error.strerror}: {error.filename})") from error


def _directory_sha256(directory: Path) -> str:
    files = sorted(file for file in directory.iterdir() if file.suffix in _MODEL_SUFFIXES and file.is_file())
    with ThreadPoolExecutor(_HASH_THREADS) as threads:
        digests = list(threads.map(file_sha256, files))
    combined = hashlib.sha256()
    for file, digest in zip(files, digests, strict=True):
        combined.update(file.name.encode() + b"\0" + bytes.fromhex(digest))
    return combined.hexdigest()
