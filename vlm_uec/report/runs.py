"""Reads run directories: metrics, settings and checkpoints."""

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
MAX_CHECKPOINTS = 200  # the newest are shown
_MAX_VALUE = 1e100  # larger values overflow in differences
TOKENS = "response_tokens/total"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in the run directory."""

    name: str
    step: int
    latest: bool
    best: bool


@dataclass(frozen=True)
class RunData:
    """The contents of a run directory; `notes`: what is missing or was omitted."""

    name: str
    path: Path
    rows: Sequence[Row]
    settings: Mapping[str, Any]
    checkpoints: Sequence[Checkpoint]
    notes: Sequence[str]

    @cached_property
    def columns(self) -> Mapping[str, Sequence[tuple[Row, float]]]:
        """For each metric, the rows with a finite value, and that value."""
        found: defaultdict[str, list[tuple[Row, float]]] = defaultdict(list)
        for row in self.rows:
            for name, raw in row.items():
                if (value := number(raw)) is not None:
                    found[name].append((row, value))
        return dict(found)

    @cached_property
    def by_step(self) -> Mapping[float, Row]:
        return {step: row for row, step in self.values("step")}

    def values(self, name: str) -> Sequence[tuple[Row, float]]:
        return self.columns.get(name, ())


def read_run(path: Path, name: str) -> RunData:
    """Raises `UserError` if the metrics are missing or malformed."""
    metrics = path / METRICS
    if not metrics.is_file():
        raise UserError(f"{escape(str(path), 300)} is not a run directory: it has no {METRICS}")
    rows, notes = read_jsonl(metrics, MAX_BYTES), []
    if metrics.stat().st_size > MAX_BYTES:
        notes.append(f"{metrics}: over {MAX_BYTES >> 20} MiB, only its first {len(rows)} steps are shown")
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


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Directory names, made distinct by the parent's name, or by a number if that is not enough."""
    resolved = [path.resolve() for path in paths]
    names = [path.name for path in resolved]
    qualified = [
        name if names.count(name) == 1 else f"{path.parent.name}/{name}"
        for path, name in zip(resolved, names, strict=True)
    ]
    return [
        name if qualified.count(name) == 1 else f"{name} ({index})" for index, name in enumerate(qualified, 1)
    ]


def number(value: object) -> float | None:
    """A finite number within the range of charts; None for anything else."""
    if not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _MAX_VALUE else None


def _with_hours(rows: Sequence[Row]) -> list[Row]:
    """Adds `hours`, the cumulative time of the steps, if the rows have step times."""
    seconds = [number(row.get("time/step")) for row in rows]
    if all(duration is None for duration in seconds):
        return list(rows)
    hours = accumulate((duration or 0.0) / 3600 for duration in seconds)
    return [{**row, "hours": total} for row, total in zip(rows, hours, strict=True)]


def _checkpoints(path: Path) -> list[Checkpoint]:
    directory = CheckpointDirectory(path)
    latest, best = directory.read_pointer(LATEST), directory.read_pointer(BEST)
    names = [checkpoint.name for checkpoint in directory.complete()[-MAX_CHECKPOINTS:]]
    return [Checkpoint(name, int(name.removeprefix("step_")), name == latest, name == best) for name in names]
