"""Opens a run directory: locks it, repairs what a killed run left, and finds the checkpoint to resume."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vlm_uec.checkpoint import find_checkpoint
from vlm_uec.checkpoint.directory import CheckpointDirectory
from vlm_uec.checkpoint.resume_rules import check_resume
from vlm_uec.checkpoint.state import read_record
from vlm_uec.config import Config
from vlm_uec.errors import UserError
from vlm_uec.io.disk_space import translate_write_errors
from vlm_uec.io.lock import acquire_lock
from vlm_uec.ranks.collectives import gather_lists, rank, world_size

LOCK = ".lock"
VISIBLE_WITHIN_S = 30.0  # network file systems cache for a while that a file is absent
_locks: dict[Path, BinaryIO] = {}  # held until this process ends


@dataclass(frozen=True)
class StartPoint:
    """Where a run starts."""

    checkpoint: Path | None
    own: bool  # the checkpoint is in this run's directory
    saved_world_size: int  # how many ranks wrote it
    trained: int  # steps that the checkpoint has finished or trained
    changed_settings: tuple[str, ...]  # allowed differences from the checkpoint's config


def open_run_dir(config: Config) -> StartPoint:
    """Locks the run directory if it exists and finds the checkpoint to resume; every rank calls it.

    Raises `UserError` if another run uses the directory, or its checkpoint does not fit this config.
    """
    return gather_lists(lambda: [_open_run_dir(config)] if rank() == 0 else [])[0]


def claim(run_dir: Path) -> str:
    """Locks the directory until this process ends; returns the token written to its lock file.

    Raises `UserError` if another process holds the lock.
    """
    with translate_write_errors(run_dir, "train.run_dir"):
        run_dir.mkdir(parents=True, exist_ok=True)
        lock = run_dir / LOCK
        if run_dir not in _locks:
            lock.touch()
            refusal = f"train.run_dir {run_dir}: another run is using it; choose another directory"
            _locks[run_dir] = acquire_lock(lock, refusal)
        token = secrets.token_hex(8)
        lock.write_text(token, encoding="utf-8")
        return token


def check_shared(run_dir: Path, token: str) -> None:
    """Raises `UserError` if this rank cannot read the token that rank 0 wrote to the lock file."""
    lock = run_dir / LOCK
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while not (lock.is_file() and lock.read_text(encoding="utf-8", errors="replace") == token):
        if time.monotonic() > deadline:
            raise UserError(
                f"train.run_dir {run_dir}: rank {rank()} cannot read what rank 0 wrote there; choose a "
                "directory on a file system that all machines share"
            )
        time.sleep(0.2)


def _open_run_dir(config: Config) -> StartPoint:
    run_dir = Path(config.train.run_dir)
    if config.resume != "never" and run_dir.is_dir():
        # A new directory is created when there is something to write: a user error must leave no folder.
        claim(run_dir)
        with translate_write_errors(run_dir, "train.run_dir"):
            CheckpointDirectory(run_dir).recover()
    checkpoint = find_checkpoint(run_dir, config.resume)
    if checkpoint is None:
        return StartPoint(None, own=False, saved_world_size=world_size(), trained=0, changed_settings=())
    changed = check_resume(checkpoint, config)
    record = read_record(checkpoint)
    own = CheckpointDirectory(run_dir).contains(checkpoint)
    return StartPoint(checkpoint, own, record.world_size, record.step, tuple(changed))
