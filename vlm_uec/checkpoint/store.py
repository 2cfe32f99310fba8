"""Checkpoints that are whole or absent: written beside, synced, listed with hashes, renamed, pointed to.

A checkpoint holds everything a step depends on: ZeRO-3 state, the pending queue, the replay buffer, the
step's number and its metrics. Prompt order and random numbers are functions of (seed, step), so there is
nothing else to save.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from vlm_uec.checkpoint.directory import CheckpointDirectory, Keep, is_name
from vlm_uec.checkpoint.manifest import (
    Files,
    entries,
    read_manifest,
    verify,
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
    """What a checkpoint is made of besides the weights."""

    state: TrainState
    origin: Origin
    config: str  # YAML


def save_checkpoint(
    run_dir: Path, contents: Contents, save_weights: Callable[[Path], None], keep: Keep
) -> None:
    """Writes `checkpoints/step_000010`; every rank calls it. `save_weights` writes into a given directory."""
    directory = CheckpointDirectory(run_dir)
    temporary = directory.writing(contents.state.step)
    on_first_rank(lambda: _begin(run_dir, temporary))
    try:
        save_weights(temporary)
        written = gather_lists(lambda: list(entries(temporary, _own_files(temporary)).items()))
        on_first_rank(lambda: _finish(temporary, contents, dict(written)))
    except BaseException:
        # Half a checkpoint is of no use, and its room may be what is missing.
        _take_back(temporary)
        raise
    on_first_rank(lambda: _publish(directory, contents.state.step, keep))


def load_state(checkpoint: Path, origin: Origin) -> TrainState:
    """Reads the state back, once every file of the checkpoint has been verified; every rank calls it.

    Raises `UserError` where a file is damaged, or the checkpoint is of other data or another model.
    """
    record = read_record(checkpoint)
    if record.origin.model != origin.model:
        raise UserError(f"{checkpoint}: training started from another model; give the same model.path")
    if record.origin.layout != origin.layout:
        raise UserError(
            f"{checkpoint}: its optimizer state is laid out by {record.origin.layout}, and deepspeed.config "
            f"says {origin.layout}; set it back"
        )
    if record.origin.data != origin.data:
        raise UserError(
            f"{checkpoint}: was trained on other problems; give the same data.path or data.mixture (in the "
            "same order and spelling) and the same limits"
        )
    files = read_manifest(checkpoint)
    on_all_ranks(lambda: verify(checkpoint, files, slice(rank(), None, world_size())))
    try:
        return read_state(checkpoint)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise UserError(
            f"{checkpoint}: its buffers are damaged ({error!r}); resume=PATH picks another"
        ) from error


def find_checkpoint(run_dir: Path, resume: str) -> Path | None:
    """The checkpoint that `resume` (never, auto or a path) names; None to start afresh.

    Raises `UserError` when the run directory is taken and `never` was asked, or the path holds none.
    """
    if resume == "never":
        if run_dir.is_dir() and any(run_dir.iterdir()):
            raise UserError(f"train.run_dir {run_dir} exists: set resume=auto, or choose another directory")
        return None
    if resume == "auto":
        return CheckpointDirectory(run_dir).latest()
    path = Path(resume)
    if not (path / RECORD).is_file():
        raise UserError(f"resume {resume}: no checkpoint there; give a .../checkpoints/step_... directory")
    directory = CheckpointDirectory(run_dir)
    own = directory.holds(path)
    if own and not is_name(path.resolve().name):
        raise UserError(
            f"resume {resume}: is not called step_...; move it out of the run's checkpoints, or rename it"
        )
    if not own and directory.latest():
        raise UserError(
            f"resume {resume}: train.run_dir {run_dir} has checkpoints of its own; choose another directory"
        )
    return path


def _begin(run_dir: Path, temporary: Path) -> None:
    if not run_dir.is_dir():
        raise UserError(f"train.run_dir {run_dir}: was deleted or moved while the run went on")
    check_disk_space(run_dir, "train.run_dir", _size_before(run_dir))
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)


def _size_before(run_dir: Path) -> int:
    """Bytes of the last checkpoint; 0 where there is none to be read, which is no reason not to write one."""
    try:
        before = CheckpointDirectory(run_dir).latest()
        return sum(entry.bytes for entry in read_manifest(before).values()) if before else 0
    except UserError:
        return 0


def _own_files(directory: Path) -> list[Path]:
    """The files that this rank wrote, by DeepSpeed's names; rank 0 sees to those without a rank in theirs."""
    # os.walk, which bears with folders that go meanwhile.
    return [
        Path(folder, name)
        for folder, _, names in os.walk(directory)
        for name in names
        if _rank_of(name) == rank()
    ]


def _rank_of(name: str) -> int:
    """zero_pp_rank_3_mp_rank_00_model_states.pt, bf16_zero_pp_rank_3_mp_rank_00_optim_states.pt: 3."""
    _, found, rest = name.partition("zero_pp_rank_")
    digits = rest.partition("_")[0]
    return int(digits) if found and digits.isdigit() else 0


def _finish(temporary: Path, contents: Contents, written: Files) -> None:
    save_state(temporary, contents.state, contents.origin, world_size())
    (temporary / CONFIG).write_text(contents.config, encoding="utf-8")
    ours = [path for path in temporary.iterdir() if path.is_file() and path.name not in written]
    write_manifest(temporary, {**written, **entries(temporary, ours)})
    for path in temporary.rglob("*"):
        if path.is_dir():
            fsync(path)


def _publish(directory: CheckpointDirectory, step: int, keep: Keep) -> None:
    directory.publish(step)
    directory.prune(keep)


def _take_back(temporary: Path) -> None:
    """Removes what this rank wrote of a checkpoint that it cannot finish; rank 0 removes everything.

    Others may still write there, so that a folder stays behind: the last to leave removes it.
    """
    mine = [temporary] if rank() == 0 else _own_files(temporary)
    for path in mine:
        _remove(path)
    for folder, _, _ in os.walk(temporary, topdown=False):
        with suppress(OSError):
            Path(folder).rmdir()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):  # rank 0 may have been here
            path.unlink()
