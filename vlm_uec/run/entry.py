"""A run's way into its directory: alone, over what a dead run left, and from the right checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vlm_uec.checkpoint import find_checkpoint
from vlm_uec.checkpoint.continuation import check_continuation
from vlm_uec.checkpoint.directory import LATEST, CheckpointDirectory
from vlm_uec.checkpoint.state import read_record
from vlm_uec.config import Config
from vlm_uec.distributed import gather_lists, rank
from vlm_uec.files.locked import hold
from vlm_uec.files.writable import writing_to

LOCK = ".lock"
_held: dict[Path, BinaryIO] = {}  # locks, until this process ends


@dataclass(frozen=True)
class Entry:
    """Where a run starts."""

    checkpoint: Path | None
    is_latest: bool  # the checkpoint is this directory's newest: it need not be written again
    saved_by: int | None  # how many ranks wrote it
    changed: tuple[str, ...]  # settings that differ from the checkpoint's, and may


def enter(config: Config) -> Entry:
    """Finds the checkpoint to go on from, alone in the directory if it is there; every rank calls it.

    Raises `UserError` where another run is in the directory, or this one does not fit what is there.
    """
    return gather_lists(lambda: [_enter(config)] if rank() == 0 else [])[0]


def claim(run_dir: Path) -> None:
    """Makes the directory this process's, until that ends. Raises `UserError` where it is another's."""
    with writing_to(run_dir, "train.run_dir"):
        run_dir.mkdir(parents=True, exist_ok=True)
        (run_dir / LOCK).touch()
    if run_dir not in _held:
        refusal = f"train.run_dir {run_dir}: a run is going on in it; choose another"
        _held[run_dir] = hold(run_dir / LOCK, refusal)


def _enter(config: Config) -> Entry:
    run_dir = Path(config.train.run_dir)
    directory = CheckpointDirectory(run_dir)
    if config.resume != "never" and run_dir.is_dir():
        # A fresh one is claimed when there is something to write: a slip of the user's leaves no folder.
        claim(run_dir)
        directory.recover()
    checkpoint = find_checkpoint(run_dir, config.resume)
    if checkpoint is None:
        return Entry(None, is_latest=False, saved_by=None, changed=())
    changed = check_continuation(checkpoint, config)
    here = checkpoint.resolve().parent == directory.path.resolve()
    if here:
        directory.point(LATEST, checkpoint.resolve().name)
    return Entry(checkpoint, here, read_record(checkpoint).world_size, tuple(changed))
