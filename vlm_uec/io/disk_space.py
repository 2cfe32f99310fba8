"""Checks of directories for write access and free space, and one-line errors for failed writes."""

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
    made = []
    try:
        made = [folder for folder in (directory, *directory.parents) if not folder.exists()]
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
        for folder in made:
            with suppress(OSError):
                folder.rmdir()


def check_disk_space(directory: Path, setting: str, required_bytes: float) -> None:
    """Raises `UserError` if fewer than `required_bytes`, the size of a checkpoint, are free."""
    free = disk_usage(directory).free
    if free < required_bytes:
        raise UserError(
            f"{setting} {directory}: {_size(free)} are free there and a checkpoint takes "
            f"{_size(required_bytes)}; make room or choose another"
        )


@contextmanager
def writing_to(directory: Path, setting: str, then: str = "resume=auto") -> Iterator[None]:
    """Raises `UserError` if a write inside fails for lack of space or rights; it ends with `then`."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise _unwritable(directory, setting, error, then) from error
    except RuntimeError as error:
        # torch.save's writer, by the name of its source file; any other RuntimeError is a bug.
        if "inline_container" not in str(error) and "PytorchStreamWriter" not in str(error):
            raise
        raise _unwritable(directory, setting, error, then) from error


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def _unwritable(directory: Path, setting: str, error: Exception, then: str) -> UserError:
    reason = getattr(error, "strerror", None) or str(error)[:200]
    if isinstance(error, RuntimeError):
        reason = "the file of weights ends early: a full disk, or a quota"
    if not isinstance(error, PermissionError) and not directory.exists():
        return UserError(
            f"{setting} {directory}: was deleted or moved ({reason}); nothing was written elsewhere"
        )
    return UserError(f"{setting} {directory}: cannot be written ({reason}); make room, then {then}")
