"""A run's way into its directory: alone, over what a dead run left, and from the right checkpoint."""

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
from vlm_uec.io.disk_space import writing_to
from vlm_uec.io.lock import hold
from vlm_uec.ranks.collectives import gather_lists, rank, world_size

LOCK = ".lock"
SEEN_WITHIN_S = 30.0  # network file systems remember for a while that a file was not there
_held: dict[Path, BinaryIO] = {}  # locks, until this process ends


@dataclass(frozen=True)
class StartPoint:
    """Where a run starts."""

    checkpoint: Path | None
    own: bool  # the checkpoint lies in this run's directory
    saved_by: int  # how many ranks wrote it
    trained: int  # steps
    changed: tuple[str, ...]  # settings that differ from the checkpoint's, and may


def enter(config: Config) -> StartPoint:
    """Finds the checkpoint to go on from, alone in the directory if it is there; every rank calls it.

    Raises `UserError` where another run is in the directory, or this one does not fit what is there.
    """
    return gather_lists(lambda: [_enter(config)] if rank() == 0 else [])[0]


def claim(run_dir: Path) -> str:
    """Makes the directory this process's, until that ends; what its lock file says now.

    Raises `UserError` where it is another's.
    """
    with writing_to(run_dir, "train.run_dir"):
        run_dir.mkdir(parents=True, exist_ok=True)
        lock = run_dir / LOCK
        if run_dir not in _held:
            lock.touch()
            refusal = f"train.run_dir {run_dir}: a run is going on in it; choose another"
            _held[run_dir] = hold(lock, refusal)
        token = secrets.token_hex(8)
        lock.write_text(token, encoding="utf-8")
        return token


def check_shared(run_dir: Path, token: str) -> None:
    """Raises `UserError` where this rank does not see what rank 0 wrote when it claimed the directory."""
    lock = run_dir / LOCK
    deadline = time.monotonic() + SEEN_WITHIN_S
    while not (lock.is_file() and lock.read_text(encoding="utf-8", errors="replace") == token):
        if time.monotonic() > deadline:
            raise UserError(
                f"train.run_dir {run_dir}: rank {rank()} does not see what rank 0 wrote there; choose a "
                "directory on a file system that all machines share"
            )
        time.sleep(0.2)


def _enter(config: Config) -> StartPoint:
    run_dir = Path(config.train.run_dir)
    if config.resume != "never" and run_dir.is_dir():
        # A fresh one is claimed when there is something to write: a slip of the user's leaves no folder.
        claim(run_dir)
        with writing_to(run_dir, "train.run_dir"):
            CheckpointDirectory(run_dir).recover()
    checkpoint = find_checkpoint(run_dir, config.resume)
    if checkpoint is None:
        return StartPoint(None, own=False, saved_by=world_size(), trained=0, changed=())
    changed = check_resume(checkpoint, config)
    record = read_record(checkpoint)
    own = CheckpointDirectory(run_dir).holds(checkpoint)
    return StartPoint(checkpoint, own, record.world_size, record.step, tuple(changed))
