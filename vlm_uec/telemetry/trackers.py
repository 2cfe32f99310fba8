"""Trackers (TensorBoard, Weights & Biases): receive the scalars of metrics.jsonl, on rank 0 only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from vlm_uec.errors import UserError
from vlm_uec.telemetry.wandb import WandbTracker


class Tracker(Protocol):
    """Receives every step's scalars, in order."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None:
        """Returns when all values have been handed over."""


class TensorBoardTracker:
    """Event files under `tensorboard/`; a resumed run hides the earlier events after `resume_step`."""

    def __init__(self, run_dir: Path, resume_step: int | None) -> None:
        # TensorBoard takes seconds to import, and most commands do not need it.
        from torch.utils.tensorboard import SummaryWriter

        purge = None if resume_step is None else resume_step + 1
        self._writer = SummaryWriter(str(run_dir / "tensorboard"), purge_step=purge)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, float(value), step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def check_trackers(names: Sequence[str]) -> None:
    """Raises `UserError` for a configured tracker that is not installed."""
    # A folder `wandb`, which wandb itself writes, is found as a namespace package without an origin.
    if "wandb" in names and getattr(find_spec("wandb"), "origin", None) is None:
        raise UserError(
            "train.trackers contains wandb, which is not installed: pip install wandb, or remove it"
        )


def open_trackers(
    names: Sequence[str], run_dir: Path, settings: Mapping[str, Any], resume_step: int | None
) -> list[Tracker]:
    """Opens the named trackers. `settings`: the config as a tree; `resume_step`: the last step whose metrics
    are kept, None for a new run."""
    found: list[Tracker] = []
    if "tensorboard" in names:
        found.append(TensorBoardTracker(run_dir, resume_step))
    if "wandb" in names:
        found.append(WandbTracker(run_dir, settings))
    return found
