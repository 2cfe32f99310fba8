"""What a run is besides its weights, as a checkpoint holds it: tensors in safetensors, the rest in JSON."""

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
    """What a run is made of; a checkpoint of another is refused."""

    data: str  # fingerprint of the training problems
    model: str  # of the model that training started from
    layout: str  # how DeepSpeed cuts the optimizer state into pieces


@dataclass(frozen=True)
class TrainState:
    """A run after `step`.

    `metrics` is the step's line of metrics.jsonl, as far as it is known; `finished` says whether its
    validation is in it. A run that was stopped before that does it when it goes on.
    """

    step: int = 0
    pending: tuple[Trajectory, ...] = ()
    replay: tuple[ScoredTrajectory, ...] = ()
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    finished: bool = True
    bad_updates: int = 0  # skipped in a row until now


@dataclass(frozen=True)
class Record:
    """What can be said of a checkpoint without reading its tensors."""

    step: int
    world_size: int
    origin: Origin
    metrics: Mapping[str, float | None]
    finished: bool
    bad_updates: int

    @property
    def score(self) -> float | None:
        """Its validation, where it had one."""
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
    """Raises `UserError` where there is none, or one of another shape."""
    try:
        row = read_json(checkpoint / RECORD)
        return Record(
            step=_whole(row["step"]),
            world_size=_whole(row["world_size"]),
            origin=Origin(str(row["data"]), str(row["model"]), str(row["layout"])),
            metrics={str(name): _number(value) for name, value in row["metrics"].items()},
            finished=row["finished"] is True,
            bad_updates=_whole(row["bad_updates"]),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f"{checkpoint}: not a checkpoint ({error!r}); resume=PATH picks another") from error


def read_state(checkpoint: Path) -> TrainState:
    """Reads what `save_state` wrote; a damaged tensor file raises whatever its reader does."""
    record = read_record(checkpoint)
    return TrainState(
        step=record.step,
        pending=tuple(load_trajectories(checkpoint / "pending")),
        replay=tuple(load_scored(checkpoint / "replay")),
        metrics=record.metrics,
        finished=record.finished,
        bad_updates=record.bad_updates,
    )


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _number(value: Any) -> float | None:
    if value is not None and not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return value
