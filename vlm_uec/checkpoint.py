"""Checkpoints that are whole or absent: written beside, synced, renamed, then named in `latest`.

A checkpoint holds everything a step depends on: ZeRO-3 state, the pending queue, the replay buffer and
the step's number. Prompt order and random numbers are functions of (seed, step), so there is nothing
else to save.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vlm_uec.distributed import barrier, rank, world_size
from vlm_uec.errors import UserError
from vlm_uec.storage import load_scored, load_trajectories, save_scored, save_trajectories
from vlm_uec.types import ScoredTrajectory, Trajectory

LATEST = "latest"


@dataclass(frozen=True)
class TrainState:
    """What a run is besides its weights."""

    step: int
    pending: tuple[Trajectory, ...]
    replay: tuple[ScoredTrajectory, ...]
    data: str  # fingerprint of the training problems


def save_checkpoint(
    run_dir: Path, state: TrainState, save_weights: Callable[[Path], None], config: str, keep: int
) -> Path:
    """Writes `checkpoints/step_000010`; every rank calls it. Older ones beyond `keep` are removed."""
    root = run_dir / "checkpoints"
    final, temporary = root / _name(state.step), root / f".writing-{_name(state.step)}"
    if rank() == 0:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    barrier()
    try:
        save_weights(temporary)
        barrier()
        if rank() == 0:
            _write_state(temporary, state, config)
            _sync_tree(temporary)
    except BaseException:
        # Half a checkpoint is of no use, and its room may be what is missing.
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    if rank() == 0:
        if final.exists():
            shutil.rmtree(final)
        temporary.rename(final)
        _point_latest(root, final.name)
        _prune(root, final.name, keep)
    barrier()
    return final


def load_state(checkpoint: Path, data: str) -> TrainState:
    """Reads the state back; raises `UserError` when it is of other data or another world size."""
    step, ranks, trained_on = _read_record(checkpoint)
    if ranks != world_size():
        raise UserError(f"{checkpoint}: written by {ranks} ranks; resume with as many, not {world_size()}")
    if trained_on != data:
        raise UserError(
            f"{checkpoint}: was trained on other problems; give the same data.path or data.mixture (in the "
            "same order and spelling) and the same limits"
        )
    return TrainState(
        step=step,
        pending=tuple(load_trajectories(checkpoint / "pending")),
        replay=tuple(load_scored(checkpoint / "replay")),
        data=data,
    )


def find_checkpoint(run_dir: Path, resume: str) -> Path | None:
    """The checkpoint that `resume` (never, auto or a path) names; None to start afresh.

    Raises `UserError` when the run directory is taken and `never` was asked, or the path holds none.
    """
    if resume == "never":
        if run_dir.is_dir() and any(run_dir.iterdir()):
            raise UserError(f"train.run_dir {run_dir} exists: set resume=auto, or choose another directory")
        return None
    if resume == "auto":
        return _latest(run_dir / "checkpoints")
    path = Path(resume)
    if not (path / "state.json").is_file():
        raise UserError(f"resume {resume}: no checkpoint there; give a .../checkpoints/step_... directory")
    return path


def _latest(root: Path) -> Path | None:
    pointer = root / LATEST
    if not pointer.is_file():
        return None
    checkpoint = root / pointer.read_text(encoding="utf-8").strip()
    if not (checkpoint / "state.json").is_file():
        raise UserError(f"{pointer} names {checkpoint.name}, which is not there; resume=PATH picks another")
    return checkpoint


def _read_record(checkpoint: Path) -> tuple[int, int, str]:
    """Step, world size and data fingerprint."""
    try:
        record = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
        return record["step"], record["world_size"], record["data"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{checkpoint}: not a checkpoint ({error!r}); resume=PATH picks another") from error


def _write_state(directory: Path, state: TrainState, config: str) -> None:
    save_trajectories(directory / "pending", state.pending)
    save_scored(directory / "replay", state.replay)
    record = {"step": state.step, "world_size": world_size(), "data": state.data}
    (directory / "state.json").write_text(json.dumps(record), encoding="utf-8")
    (directory / "config.yaml").write_text(config, encoding="utf-8")


def _point_latest(root: Path, name: str) -> None:
    temporary = root / f".{LATEST}"
    temporary.write_text(name + "\n", encoding="utf-8")
    _sync(temporary)
    temporary.replace(root / LATEST)
    _sync(root)


def _prune(root: Path, newest: str, keep: int) -> None:
    # Later ones are of a future that a resume from an earlier step gave up; they do not count as kept.
    for old in [path for path in _steps(root) if path.name <= newest][:-keep]:
        shutil.rmtree(old)


def _steps(root: Path) -> Sequence[Path]:
    return sorted(path for path in root.glob("step_*") if path.is_dir())


def _name(step: int) -> str:
    return f"step_{step:06d}"


def _sync_tree(directory: Path) -> None:
    for path in sorted(directory.rglob("*")):
        _sync(path)
    _sync(directory)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
