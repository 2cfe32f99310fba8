"""Weights & Biases as a tracker: a convenience, so nothing that goes wrong in it ends a run."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vlm_uec.cli import log_stderr
from vlm_uec.escape import escape
from vlm_uec.io.durable import write_whole

ID = "wandb_id"
# As the environment, so that what the user has set goes first.
_DEFAULTS = {
    "WANDB_PROJECT": "vlm-uec",
    "WANDB_CONSOLE": "off",  # it would take the place of stdout, which the live line writes to
    "WANDB_SILENT": "true",
    "WANDB_LOGIN_TIMEOUT": "30",  # seconds: for a question on a terminal that nobody looks at
    "WANDB_FINISH_TIMEOUT": "60",  # seconds: without it, a lost network holds up the end for ever
}


class WandbTracker:
    """A run of Weights & Biases, and the same one where training goes on; its id is kept in `run_dir`.

    Values are logged over the metric `step`: wandb's own count only grows, and would refuse the steps that a
    resumed run repeats. The first fault of any kind is told in one line, and ends the tracking alone.
    """

    def __init__(self, run_dir: Path, settings: Mapping[str, Any]) -> None:
        self._run: Any = None
        self._attempt("cannot start", lambda: self._start(run_dir, settings))

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        if self._run:
            self._attempt("cannot log", lambda: self._run.log({**values, "step": step}))

    def close(self) -> None:
        if self._run:
            self._attempt("cannot finish", self._run.finish)
            self._run = None

    def _start(self, run_dir: Path, settings: Mapping[str, Any]) -> None:
        import wandb

        for name, value in {**_DEFAULTS, "WANDB_NAME": run_dir.resolve().name}.items():
            os.environ.setdefault(name, value)
        # A changed setting is no fault: a run may go on with another learning rate.
        self._run = wandb.init(
            id=_run_id(run_dir),
            resume="allow",
            dir=str(run_dir),
            config=dict(settings),
            allow_val_change=True,
        )
        self._run.define_metric("*", step_metric="step")
        log_stderr(f"wandb: {self._run.url or f'offline, under {run_dir}/wandb; wandb sync uploads it'}")

    def _attempt(self, what: str, work: Callable[[], object]) -> None:
        try:
            work()
        except (Exception, SystemExit) as error:
            self._run = None
            told = escape(" ".join(f"{type(error).__name__}: {error}".split()), 300)
            log_stderr(f"wandb: {what} ({told}); the run goes on without it")


def _run_id(run_dir: Path) -> str:
    path = run_dir / ID
    if path.is_file() and re.fullmatch("[0-9a-f]{16}", known := path.read_text("utf-8", "replace").strip()):
        return known
    write_whole(path, [f"{(fresh := secrets.token_hex(8))}\n".encode()])
    return fresh
