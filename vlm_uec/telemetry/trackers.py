"""Where a run's scalars go besides metrics.jsonl, under the same names. Only rank 0 has trackers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from vlm_uec.errors import UserError
from vlm_uec.telemetry.wandb import WandbTracker


class Tracker(Protocol):
    """Is told every step's scalars, in order."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None:
        """Returns when everything is on its way."""


class TensorBoardTracker:
    """Event files under `tensorboard/`; a run that goes on hides what it did after `resume_step`."""

    def __init__(self, run_dir: Path, resume_step: int | None) -> None:
        # TensorBoard takes seconds to import, and most commands need none.
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
    """Raises `UserError` where one is asked for that is not installed."""
    # A folder `wandb`, which wandb itself leaves behind, is found as a package without an origin.
    if "wandb" in names and getattr(find_spec("wandb"), "origin", None) is None:
        raise UserError(
            "train.trackers asks for wandb, which is not installed: pip install wandb, or leave it out"
        )


def open_trackers(
    names: Sequence[str], run_dir: Path, settings: Mapping[str, Any], resume_step: int | None
) -> list[Tracker]:
    """One of each kind that is named. `settings`: the config as a tree; `resume_step`: the last step whose
    line is there to stay, None of a run that starts."""
    found: list[Tracker] = []
    if "tensorboard" in names:
        found.append(TensorBoardTracker(run_dir, resume_step))
    if "wandb" in names:
        found.append(WandbTracker(run_dir, settings))
    return found
