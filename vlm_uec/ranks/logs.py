"""Where a rank's words go: rank 0's to the console, every other's to a file of its own."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from vlm_uec.io.disk_space import writing_to
from vlm_uec.ranks.collectives import rank


def log_of(run_dir: Path, rank: int) -> Path:
    return run_dir / "logs" / f"rank_{rank}.log"


@contextmanager
def own_log(run_dir: Path) -> Iterator[TextIO | None]:
    """While it lasts, this rank and its libraries print into the file that is yielded; rank 0 as before.

    `sys.__stderr__` stays the console, for what must be seen at once. An error that ends the block is told in
    the file as well.
    """
    if rank() == 0:
        yield None
        return
    path = log_of(run_dir, rank())
    with writing_to(run_dir, "train.run_dir"):
        path.parent.mkdir(exist_ok=True)
        log = path.open("a", encoding="utf-8", buffering=1)
    with log, _descriptors_to(log):
        try:
            yield log
        except BaseException:
            traceback.print_exc(file=log)
            raise


@contextmanager
def _descriptors_to(log: TextIO) -> Iterator[None]:
    """Descriptors 1 and 2 themselves: libraries in C write there."""
    out, errors = os.dup(1), os.dup(2)
    process_stderr = sys.__stderr__
    with os.fdopen(errors, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False) as console:
        _redirect(log.fileno(), log.fileno())
        sys.__stderr__ = console  # type: ignore[misc]
        try:
            yield
        finally:
            sys.__stderr__ = process_stderr  # type: ignore[misc]
            _redirect(out, errors)
            os.close(out)
            os.close(errors)


def _redirect(out: int, errors: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(out, 1)
    os.dup2(errors, 2)
