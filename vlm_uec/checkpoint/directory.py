"""The directory `checkpoints/`: names, the pointers `latest` and `best`, and which checkpoints stay."""

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
class Keep:
    """How many checkpoints stay: the newest, and the best by validation."""

    newest: int
    best: int


class CheckpointDirectory:
    """Only rank 0 changes it."""

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir / "checkpoints"

    def writing(self, step: int) -> Path:
        """Where a checkpoint is until it is whole."""
        return self.path / f"{_WRITING}{_name(step)}"

    def scratch(self) -> Path:
        """A place for what is of use while a checkpoint is loaded."""
        return self.path / f"{_WRITING}scratch"

    def publish(self, step: int) -> None:
        """Gives a whole checkpoint its name and points `latest` to it."""
        final = self.path / _name(step)
        self._put_away(final)
        self.writing(step).rename(final)
        fsync(self.path)
        self.point(LATEST, final.name)
        shutil.rmtree(self._old(final), ignore_errors=True)

    def prune(self, keep: Keep) -> None:
        """Removes what neither rule keeps, and points `best` to the best."""
        latest = self.pointed(LATEST) or _name(0)
        scores = {path.name: _score(path) for path in self.whole()}
        if best := ranking(_reached(scores, latest))[: keep.best]:
            self.point(BEST, best[0])
        else:
            (self.path / BEST).unlink(missing_ok=True)
        for name in sorted(set(scores) - staying(scores, latest, keep)):
            # Renamed first: a checkpoint that is there by its name is whole.
            self._put_away(self.path / name)
            shutil.rmtree(self._old(self.path / name), ignore_errors=True)

    def latest(self) -> Path | None:
        """The newest whole checkpoint; None before the first. Raises `UserError` where it is gone."""
        name = self.pointed(LATEST)
        if name is None:
            # It was not pointed to yet, or the pointer was not copied along.
            return max(self.whole(), key=lambda path: _step(path.name), default=None)
        if not (self.path / name).is_dir():
            raise UserError(
                f"{self.path / LATEST} names {name}, which is not there; resume=PATH picks another"
            )
        return self.path / name

    def holds(self, checkpoint: Path) -> bool:
        """Whether it lies in this directory."""
        return checkpoint.resolve().parent == self.path.resolve()

    def recover(self) -> None:
        """Takes away what a run that died left half written or half removed."""
        latest = self.pointed(LATEST)
        if latest and not (self.path / latest).exists() and self._old(self.path / latest).exists():
            # It died when it had put this one away to write the same step again.
            self._old(self.path / latest).rename(self.path / latest)
        for pattern in (f"{_WRITING}*", f"{_OLD}*"):
            for path in self.path.glob(pattern):
                shutil.rmtree(path, ignore_errors=True)  # a rank that dies slowly may still write there

    def point(self, pointer: str, name: str) -> None:
        atomic_write(self.path / pointer, [f"{name}\n".encode()])

    def pointed(self, pointer: str) -> str | None:
        """Raises `UserError` where it holds anything but a checkpoint's name."""
        path = self.path / pointer
        if not path.is_file():
            return None
        name = path.read_text(encoding="utf-8", errors="replace").strip()
        if not is_name(name):
            raise UserError(f"{path}: names no checkpoint; write step_... into it, or resume=PATH")
        return name

    def whole(self) -> list[Path]:
        """All checkpoints, by step."""
        return sorted(path for path in self.path.glob("step_*") if is_name(path.name))

    def _put_away(self, path: Path) -> None:
        shutil.rmtree(self._old(path), ignore_errors=True)
        if path.exists():
            path.rename(self._old(path))

    def _old(self, path: Path) -> Path:
        return self.path / f"{_OLD}{path.name}"


def _score(checkpoint: Path) -> float | None:
    try:
        return read_record(checkpoint).score
    except UserError:
        return None  # damaged: no reason to end a run that has just written a whole one


def ranking(scores: Scores) -> list[str]:
    """Checkpoints that were validated, best first; of equals the earlier."""
    scored = [(-score, name) for name, score in scores.items() if score is not None]
    return [name for _, name in sorted(scored)]


def staying(scores: Scores, latest: str, keep: Keep) -> set[str]:
    """Names that stay: `latest` and those before it, newest first, the best, and all later ones.

    Later ones are of a future that a resume from an earlier step gave up: neither new nor old.
    """
    reached = _reached(scores, latest)
    newest = sorted(reached, key=_step)[-keep.newest :]
    return (scores.keys() - reached.keys()) | {*newest, *ranking(reached)[: keep.best]}


def is_name(name: str) -> bool:
    """Whether a checkpoint may be called so."""
    return _NAME.fullmatch(name) is not None


def _reached(scores: Scores, latest: str) -> Scores:
    return {name: score for name, score in scores.items() if _step(name) <= _step(latest)}


def _name(step: int) -> str:
    return f"step_{step:06d}"


def _step(name: str) -> int:
    return int(name.removeprefix("step_"))
