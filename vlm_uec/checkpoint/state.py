"""A run's state besides its weights, as saved in a checkpoint: tensors in safetensors, the rest in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlm_uec.checkpoint.storage import load_scored, load_trajectories, save_scored, save_trajectories
from vlm_uec.errors import UserError
from vlm_uec.io.bounded_json import read_json
from vlm_uec.io.strict_json import to_json
from vlm_uec.types import ScoredTrajectory, Trajectory

RECORD = "state.json"
SCORE = "eval/pass@1"


@dataclass(frozen=True)
class Origin:
    """Data, model and layout of a run; a checkpoint with another origin is rejected."""

    data: str  # fingerprint of the training problems
    model: str  # of the model that training started from
    layout: str  # how DeepSpeed partitions the optimizer state


@dataclass(frozen=True)
class TrainState:
    """The state of a run after `step`.

    `metrics`: the step's metrics so far; `finished`: whether its validation is done and included. A run that
    was stopped before the validation does it after resuming.
    """

    step: int = 0
    pending: tuple[Trajectory, ...] = ()
    replay: tuple[ScoredTrajectory, ...] = ()
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    finished: bool = True
    bad_updates: int = 0  # consecutive skipped updates


@dataclass(frozen=True)
class Record:
    """The information about a checkpoint that needs no tensors."""

    step: int
    world_size: int
    origin: Origin
    metrics: Mapping[str, float | None]
    finished: bool
    bad_updates: int

    @property
    def score(self) -> float | None:
        """Its validation score; None without validation."""
        return self.metrics.get(SCORE)


def save_state(directory: Path, state: TrainState, origin: Origin, world_size: int) -> None:
    save_trajectories(directory / "pending", state.pending)
    save_scored(directory / "replay", state.replay)
    record = {
        "step": state.step,
        "world_size": world_size,
        "data": origin.data,
        "model": origin.model,
        "layout": origin.layout,
        "metrics": state.metrics,
        "finished": state.finished,
        "bad_updates": state.bad_updates,
    }
    (directory / RECORD).write_text(to_json(record), encoding="utf-8")


def read_record(checkpoint: Path) -> Record:
    """A checkpoint's record. Raises `UserError` if it is missing or invalid."""
    try:
        row = read_json(checkpoint / RECORD)
        return Record(
            step=_integer(row["step"]),
            world_size=_integer(row["world_size"]),
            origin=Origin(str(row["data"]), str(row["model"]), str(row["layout"])),
            metrics={str(name): _number(value) for name, value in row["metrics"].items()},
            finished=row["finished"] is True,
            bad_updates=_integer(row["bad_updates"]),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{checkpoint}: not a checkpoint ({error!r}); choose another with resume=PATH"
        ) from error


def read_state(checkpoint: Path) -> TrainState:
    """Reads what `save_state` wrote. A damaged tensor file raises its reader's exception."""
    record = read_record(checkpoint)
    return TrainState(
        step=record.step,
        pending=tuple(load_trajectories(checkpoint / "pending")),
        replay=tuple(load_scored(checkpoint / "replay")),
        metrics=record.metrics,
        finished=record.finished,
        bad_updates=record.bad_updates,
    )


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not an integer")
    return value


def _number(value: Any) -> float | None:
    if value is not None and not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return value
