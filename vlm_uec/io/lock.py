"""File locks that keep two runs out of the same directory."""

from __future__ import annotations

import fcntl
import warnings
from pathlib import Path
from typing import BinaryIO

from vlm_uec.errors import UserError


def acquire_lock(path: Path, message: str) -> BinaryIO:
    """Locks an existing file until the returned file is closed or the process ends.

    Raises `UserError` with `message` if another process holds the lock.
    """
    file = path.open("r+b")  # on network file systems an exclusive lock needs a file open for writing
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(message) from error
    except OSError as error:
        # Some cluster file systems have no locks: the run continues without one.
        warnings.warn(f"{path.parent}: cannot be locked ({error.strerror})", stacklevel=2)
    return file
