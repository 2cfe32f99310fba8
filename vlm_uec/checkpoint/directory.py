"""The directory `checkpoints/`: names, the pointers `latest` and `best`, and which checkpoints are kept."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vlm_uec.checkpoint.state import read_record
from vlm_uec.errors import UserError
from vlm_uec.io.durable import atomic_write, fsync

LATEST, BEST = "latest", "best"
_NAME = re.compile(r"step_\d{6,}")
_WRITING, _OLD = ".writing-", ".old-"
Scores = Mapping[str, float | None]  # validation by checkpoint name


@dataclass(frozen=True)
class KeepCounts:
    """How many checkpoints are kept: the newest, and the best by validation."""

    newest: int
    best: int


class CheckpointDirectory:
    """A run's checkpoints; only rank 0 changes the directory."""

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir / "checkpoints"

    def temporary_path(self, step: int) -> Path:
        """The path of a checkpoint until it is complete."""
        return self.path / f"{_WRITING}{_name(step)}"

    def scratch_path(self) -> Path:
        """The path of temporary files while a checkpoint is loaded."""
        return self.path / f"{_WRITING}scratch"

    def publish(self, step: int) -> None:
        """Renames a complete checkpoint to its final name and points `latest` to it."""
        final = self.path / _name(step)
        self._set_aside(final)
        self.temporary_path(step).rename(final)
        fsync(self.path)
        self.set_pointer(LATEST, final.name)
        shutil.rmtree(self._old_path(final), ignore_errors=True)

    def prune(self, keep: KeepCounts) -> None:
        """Removes checkpoints that are not to be kept, and points `best` to the best."""
        latest = self.read_pointer(LATEST) or _name(0)
        scores = {path.name: _score(path) for path in self.complete()}
        if best := best_first(_up_to(scores, latest))[: keep.best]:
            self.set_pointer(BEST, best[0])
        else:
            (self.path / BEST).unlink(missing_ok=True)
        for name in sorted(set(scores) - names_to_keep(scores, latest, keep)):
            # Renamed first, so that every directory with a checkpoint's name is complete.
            self._set_aside(self.path / name)
            shutil.rmtree(self._old_path(self.path / name), ignore_errors=True)

    def latest(self) -> Path | None:
        """The newest complete checkpoint; None before the first. Raises `UserError` if it is missing."""
        name = self.read_pointer(LATEST)
        if name is None:
            # The pointer was not written yet, or not copied with the directory.
            return max(self.complete(), key=lambda path: _step(path.name), default=None)
        if not (self.path / name).is_dir():
            raise UserError(
                f"{self.path / LATEST} names {name}, which does not exist; choose another with resume=PATH"
            )
        return self.path / name

    def contains(self, checkpoint: Path) -> bool:
        """Whether the checkpoint is in this directory."""
        return checkpoint.resolve().parent == self.path.resolve()

    def recover(self) -> None:
        """Removes what a killed run left incompletely written or incompletely removed."""
        latest = self.read_pointer(LATEST)
        if latest and not (self.path / latest).exists() and self._old_path(self.path / latest).exists():
            # The run was killed after it moved this checkpoint to write the same step again.
            self._old_path(self.path / latest).rename(self.path / latest)
        for pattern in (f"{_WRITING}*", f"{_OLD}*"):
            for path in self.path.glob(pattern):
                shutil.rmtree(path, ignore_errors=True)  # a rank that is still ending may write there

    def set_pointer(self, pointer: str, name: str) -> None:
        atomic_write(self.path / pointer, [f"{name}\n".encode()])

    def read_pointer(self, pointer: str) -> str | None:
        """The name in a pointer file; None without the file. Raises `UserError` for an invalid name."""
        path = self.path / pointer
        if not path.is_file():
            return None
        name = path.read_text(encoding="utf-8", errors="replace").strip()
        if not is_checkpoint_name(name):
            raise UserError(f"{path}: does not name a checkpoint; write step_... into it, or set resume=PATH")
        return name

    def complete(self) -> list[Path]:
        """All checkpoints, sorted by name."""
        return sorted(path for path in self.path.glob("step_*") if is_checkpoint_name(path.name))

    def _set_aside(self, path: Path) -> None:
        shutil.rmtree(self._old_path(path), ignore_errors=True)
        if path.exists():
            path.rename(self._old_path(path))

    def _old_path(self, path: Path) -> Path:
        return self.path / f"{_OLD}{path.name}"


def _score(checkpoint: Path) -> float | None:
    try:
        return read_record(checkpoint).score
    except UserError:
        return None  # a damaged old checkpoint must not end a run that has just written a complete one


def best_first(scores: Scores) -> list[str]:
    """Checkpoints with a validation score, best first; ties go to the earliest."""
    scored = [(-score, name) for name, score in scores.items() if score is not None]
    return [name for _, name in sorted(scored)]


def names_to_keep(scores: Scores, latest: str, keep: KeepCounts) -> set[str]:
    """The newest checkpoints up to `latest`, the best of them, and all later ones.

    Later checkpoints exist after a resume from an earlier step; they are never removed and never counted.
    """
    reached = _up_to(scores, latest)
    newest = sorted(reached, key=_step)[-keep.newest :]
    return (scores.keys() - reached.keys()) | {*newest, *best_first(reached)[: keep.best]}


def is_checkpoint_name(name: str) -> bool:
    """Whether the name is a valid checkpoint name."""
    return _NAME.fullmatch(name) is not None


def _up_to(scores: Scores, latest: str) -> Scores:
    return {name: score for name, score in scores.items() if _step(name) <= _step(latest)}


def _name(step: int) -> str:
    return f"step_{step:06d}"


def _step(name: str) -> int:
    return int(name.removeprefix("step_"))
