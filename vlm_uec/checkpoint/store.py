"""Saves checkpoints atomically: written to a temporary directory, synced, hashed, renamed, pointed to.

A checkpoint contains everything a step depends on: ZeRO-3 state, pending queue, replay buffer, step number
and metrics. Prompt order and random numbers are functions of (seed, step) and need no saving.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from vlm_uec.checkpoint.directory import CheckpointDirectory, KeepCounts, is_checkpoint_name
from vlm_uec.checkpoint.manifest import (
    Files,
    read_manifest,
    sync_and_hash,
    verify_files,
    write_manifest,
)
from vlm_uec.checkpoint.resume_rules import CONFIG
from vlm_uec.checkpoint.state import RECORD, Origin, TrainState, read_record, read_state, save_state
from vlm_uec.errors import UserError
from vlm_uec.io.disk_space import check_disk_space
from vlm_uec.io.durable import fsync
from vlm_uec.ranks.collectives import gather_lists, on_all_ranks, on_first_rank, rank, world_size


@dataclass(frozen=True)
class Contents:
    """The contents of a checkpoint besides the weights."""

    state: TrainState
    origin: Origin
    config: str  # YAML


def save_checkpoint(
    run_dir: Path, contents: Contents, save_weights: Callable[[Path], None], keep: KeepCounts
) -> None:
    """Writes `checkpoints/step_000010`; every rank calls it. `save_weights` writes into a given directory."""
    directory = CheckpointDirectory(run_dir)
    temporary = directory.temporary_path(contents.state.step)
    on_first_rank(lambda: _begin(run_dir, temporary))
    try:
        save_weights(temporary)
        written = gather_lists(lambda: list(sync_and_hash(temporary, _own_files(temporary)).items()))
        on_first_rank(lambda: _finish(temporary, contents, dict(written)))
    except BaseException:
        # An incomplete checkpoint is useless, and its disk space may be needed.
        _discard(temporary)
        raise
    on_first_rank(lambda: _publish(directory, contents.state.step, keep))


def load_state(checkpoint: Path, origin: Origin) -> TrainState:
    """Loads the state after verifying every file of the checkpoint; every rank calls it.

    Raises `UserError` if a file is damaged, or the checkpoint has other data or another model.
    """
    record = read_record(checkpoint)
    if record.origin.model != origin.model:
        raise UserError(f"{checkpoint}: training started from another model; give the same model.path")
    if record.origin.layout != origin.layout:
        raise UserError(
            f"{checkpoint}: its optimizer state was partitioned with {record.origin.layout}, but "
            f"deepspeed.config has {origin.layout}; restore it"
        )
    if record.origin.data != origin.data:
        raise UserError(
            f"{checkpoint}: was trained on other problems; give the same data.path or data.mixture (in the "
            "same order and spelling) and the same limits"
        )
    files = read_manifest(checkpoint)
    on_all_ranks(lambda: verify_files(checkpoint, files, slice(rank(), None, world_size())))
    try:
        return read_state(checkpoint)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise UserError(
            f"{checkpoint}: its buffers are damaged ({error!r}); choose another with resume=PATH"
        ) from error


def find_checkpoint(run_dir: Path, resume: str) -> Path | None:
    """The checkpoint selected by `resume` (never, auto or a path); None to start from the beginning.

    Raises `UserError` if the run directory is in use and `resume` is never, or the path has no checkpoint.
    """
    if resume == "never":
        if run_dir.is_dir() and any(run_dir.iterdir()):
            raise UserError(f"train.run_dir {run_dir} exists: set resume=auto, or choose another directory")
        return None
    if resume == "auto":
        return CheckpointDirectory(run_dir).latest()
    path = Path(resume)
    if not (path / RECORD).is_file():
        raise UserError(f"resume {resume}: contains no checkpoint; give a .../checkpoints/step_... directory")
    directory = CheckpointDirectory(run_dir)
    own = directory.contains(path)
    if own and not is_checkpoint_name(path.resolve().name):
        raise UserError(
            f"resume {resume}: its name is not step_...; move it out of the run's checkpoints, or rename it"
        )
    if not own and directory.latest():
        raise UserError(
            f"resume {resume}: train.run_dir {run_dir} contains other checkpoints; choose another directory"
        )
    return path


def _begin(run_dir: Path, temporary: Path) -> None:
    if not run_dir.is_dir():
        raise UserError(f"train.run_dir {run_dir}: was deleted or moved during the run")
    check_disk_space(run_dir, "train.run_dir", _previous_size(run_dir))
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)


def _previous_size(run_dir: Path) -> int:
    """Bytes of the last checkpoint; 0 if there is none or it cannot be read."""
    try:
        previous = CheckpointDirectory(run_dir).latest()
        return sum(entry.bytes for entry in read_manifest(previous).values()) if previous else 0
    except UserError:
        return 0


def _own_files(directory: Path) -> list[Path]:
    """The files that this rank wrote, by DeepSpeed's names; rank 0 has those without a rank in the name."""
    # os.walk, because it tolerates folders that are removed meanwhile.
    return [
        Path(folder, name)
        for folder, _, names in os.walk(directory)
        for name in names
        if _rank_of(name) == rank()
    ]


def _rank_of(name: str) -> int:
    """The rank in a file name: 3 for bf16_zero_pp_rank_3_mp_rank_00_optim_states.pt; 0 without one."""
    _, found, rest = name.partition("zero_pp_rank_")
    digits = rest.partition("_")[0]
    return int(digits) if found and digits.isdigit() else 0


def _finish(temporary: Path, contents: Contents, written: Files) -> None:
    save_state(temporary, contents.state, contents.origin, world_size())
    (temporary / CONFIG).write_text(contents.config, encoding="utf-8")
    new_files = [path for path in temporary.iterdir() if path.is_file() and path.name not in written]
    write_manifest(temporary, {**written, **sync_and_hash(temporary, new_files)})
    for path in temporary.rglob("*"):
        if path.is_dir():
            fsync(path)


def _publish(directory: CheckpointDirectory, step: int, keep: KeepCounts) -> None:
    directory.publish(step)
    directory.prune(keep)


def _discard(temporary: Path) -> None:
    """Removes this rank's files of an unfinished checkpoint; rank 0 removes everything.

    Other ranks may still be writing, so the last rank removes the remaining folders.
    """
    own = [temporary] if rank() == 0 else _own_files(temporary)
    for path in own:
        _remove(path)
    for folder, _, _ in os.walk(temporary, topdown=False):
        with suppress(OSError):
            Path(folder).rmdir()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):  # rank 0 may have removed it
            path.unlink()
