"""Folders that two runs must not share."""

from __future__ import annotations

import fcntl
import warnings
from pathlib import Path
from typing import BinaryIO

from vlm_uec.errors import UserError


def hold(path: Path, refusal: str) -> BinaryIO:
    """Locks an existing file until what is returned is closed, or this process ends, however it does.

    Raises `UserError` with `refusal` where another process holds it.
    """
    file = path.open("r+b")  # network file systems lock exclusively only what is open for writing
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(refusal) from error
    except OSError as error:
        # Some clusters' file systems have no locks: there, nothing keeps two runs apart.
        warnings.warn(f"{path.parent}: cannot be locked ({error.strerror})", stacklevel=2)
    return file
