"""Checks directories for write access and free space, and converts failed writes to one-line errors."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import disk_usage

from safetensors import SafetensorError

from vlm_uec.errors import UserError

_PROBE_BYTES = 1 << 20


def check_writable(directory: Path, setting: str, required_bytes: float = 0) -> None:
    """Writes a probe file into the directory, then removes it and all folders that were created for it.

    Raises `UserError`, beginning with `setting`, if that fails or fewer than `required_bytes` are free.
    """
    created = []
    try:
        created = [folder for folder in (directory, *directory.parents) if not folder.exists()]
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".probe-") as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
        check_disk_space(directory, setting, required_bytes)
    except OSError as error:
        raise UserError(
            f"{setting} {directory}: cannot be written ({error.strerror}); make room or choose another"
        ) from error
    finally:
        for folder in created:
            with suppress(OSError):
                folder.rmdir()


def check_disk_space(directory: Path, setting: str, required_bytes: float) -> None:
    """Raises `UserError` if fewer than `required_bytes`, the size of a checkpoint, are free."""
    free = disk_usage(directory).free
    if free < required_bytes:
        raise UserError(
            f"{setting} {directory}: {_size(free)} are free and a checkpoint takes "
            f"{_size(required_bytes)}; make room or choose another"
        )


@contextmanager
def translate_write_errors(directory: Path, setting: str, next_action: str = "resume=auto") -> Iterator[None]:
    """Raises `UserError`, ending with `next_action`, if a write fails (disk full, no permission)."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise _write_error(directory, setting, error, next_action) from error
    except RuntimeError as error:
        # torch.save's writer, recognised by the name of its source file; any other RuntimeError is a bug.
        if "inline_container" not in str(error) and "PytorchStreamWriter" not in str(error):
            raise
        raise _write_error(directory, setting, error, next_action) from error


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def _write_error(directory: Path, setting: str, error: Exception, next_action: str) -> UserError:
    reason = getattr(error, "strerror", None) or str(error)[:200]
    if isinstance(error, RuntimeError):
        reason = "the weights file is incomplete: disk full or quota exceeded"
    if not isinstance(error, PermissionError) and not directory.exists():
        return UserError(
            f"{setting} {directory}: was deleted or moved ({reason}); nothing was written elsewhere"
        )
    return UserError(f"{setting} {directory}: cannot be written ({reason}); make room, then {next_action}")
