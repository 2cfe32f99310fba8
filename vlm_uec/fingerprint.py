"""What a model is, so that numbers can be traced to it: a hash of its files, or its revision on the Hub."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from vlm_uec.errors import UserError

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
