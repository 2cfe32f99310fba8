"""Output of ranks: rank 0 prints to the console, every other rank to its log file."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from vlm_uec.io.disk_space import translate_write_errors
from vlm_uec.ranks.collectives import rank


def log_path(run_dir: Path, rank: int) -> Path:
    return run_dir / "logs" / f"rank_{rank}.log"


@contextmanager
def rank_log(run_dir: Path) -> Iterator[TextIO | None]:
    """Redirects the output of this rank and its libraries to the yielded file; None on rank 0.

    `sys.__stderr__` stays the console, for records of the package's loggers. The traceback of an error that
    leaves the block is written to the file as well.
    """
    if rank() == 0:
        yield None
        return
    path = log_path(run_dir, rank())
    with translate_write_errors(run_dir, "train.run_dir"):
        path.parent.mkdir(exist_ok=True)
        log = path.open("a", encoding="utf-8", buffering=1)
    with log, _redirected(log):
        try:
            yield log
        except BaseException:
            traceback.print_exc(file=log)
            raise


@contextmanager
def _redirected(log: TextIO) -> Iterator[None]:
    """Redirects file descriptors 1 and 2, because C libraries write to them directly."""
    out, errors = os.dup(1), os.dup(2)
    process_stderr = sys.__stderr__
    with os.fdopen(errors, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False) as console:
        _set_descriptors(log.fileno(), log.fileno())
        sys.__stderr__ = console  # type: ignore[misc]
        try:
            yield
        finally:
            sys.__stderr__ = process_stderr  # type: ignore[misc]
            _set_descriptors(out, errors)
            os.close(out)
            os.close(errors)


def _set_descriptors(out: int, errors: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(out, 1)
    os.dup2(errors, 2)
