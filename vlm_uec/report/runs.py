"""What a report knows of a run: its metrics, settings and checkpoints, as far as they can be read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

from vlm_uec.checkpoint.directory import BEST, LATEST, CheckpointDirectory
from vlm_uec.checkpoint.resume_rules import CONFIG
from vlm_uec.config.file import read_config_file
from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.telemetry.writers import METRICS, read_jsonl

MAX_BYTES = 32 << 20  # of metrics.jsonl: about twenty thousand steps
MAX_CHECKPOINTS = 200  # the last ones
_MAX_VALUE = 1e100  # beyond it, differences overflow
TOKENS = "response_tokens/total"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """One that lies in the run's directory."""

    name: str
    step: int
    latest: bool
    best: bool


@dataclass(frozen=True)
class RunData:
    """A run's directory as it was read; `notes` tells what is missing or was left out."""

    name: str
    path: Path
    rows: Sequence[Row]
    settings: Mapping[str, Any]
    checkpoints: Sequence[Checkpoint]
    notes: Sequence[str]

    @cached_property
    def columns(self) -> Mapping[str, Sequence[tuple[Row, float]]]:
        """By metric, the rows that have a finite value of it, with that value."""
        found: defaultdict[str, list[tuple[Row, float]]] = defaultdict(list)
        for row in self.rows:
            for name, told in row.items():
                if (value := number(told)) is not None:
                    found[name].append((row, value))
        return dict(found)

    @cached_property
    def by_step(self) -> Mapping[float, Row]:
        return {step: row for row, step in self.values("step")}

    def values(self, name: str) -> Sequence[tuple[Row, float]]:
        return self.columns.get(name, ())


def read_run(path: Path, name: str) -> RunData:
    """Raises `UserError` where there are no metrics, or a line among them is none."""
    metrics = path / METRICS
    if not metrics.is_file():
        raise UserError(f"{escape(str(path), 300)} is no run directory: it has no {METRICS}")
    rows, notes = read_jsonl(metrics, MAX_BYTES), []
    if metrics.stat().st_size > MAX_BYTES:
        notes.append(f"{metrics}: over {MAX_BYTES >> 20} MiB, its first {len(rows)} steps are shown")
    settings: Mapping[str, Any] = {}
    try:
        settings = read_config_file(path / CONFIG)
    except UserError as error:
        notes.append(f"{error}; settings, alarm band and pictures are not shown")
    checkpoints: Sequence[Checkpoint] = ()
    try:
        checkpoints = _checkpoints(path)
    except (UserError, OSError) as error:
        notes.append(str(error))
    return RunData(name, path, _with_hours(rows), settings, checkpoints, notes)


def names_of(paths: Sequence[Path]) -> list[str]:
    """Directories' names, with their parents' where two are alike, and a number where that does not help."""
    whole = [path.resolve() for path in paths]
    names = [path.name for path in whole]
    alike = [
        name if names.count(name) == 1 else f"{path.parent.name}/{name}"
        for path, name in zip(whole, names, strict=True)
    ]
    return [name if alike.count(name) == 1 else f"{name} ({place})" for place, name in enumerate(alike, 1)]


def number(value: object) -> float | None:
    """A finite number that can be drawn; None for anything else."""
    if not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _MAX_VALUE else None


def _with_hours(rows: Sequence[Row]) -> list[Row]:
    """Each row with `hours`, the time of all steps so far, where steps tell theirs."""
    seconds = [number(row.get("time/step")) for row in rows]
    if all(spent is None for spent in seconds):
        return list(rows)
    hours = accumulate((spent or 0.0) / 3600 for spent in seconds)
    return [{**row, "hours": so_far} for row, so_far in zip(rows, hours, strict=True)]


def _checkpoints(path: Path) -> list[Checkpoint]:
    directory = CheckpointDirectory(path)
    latest, best = directory.read_pointer(LATEST), directory.read_pointer(BEST)
    names = [checkpoint.name for checkpoint in directory.complete()[-MAX_CHECKPOINTS:]]
    return [Checkpoint(name, int(name.removeprefix("step_")), name == latest, name == best) for name in names]
