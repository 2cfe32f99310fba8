"""Weights & Biases tracker. Its errors are logged and never end a run."""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vlm_uec.escape import escape
from vlm_uec.io.durable import atomic_write

ID_FILE = "wandb_id"
# Set as environment variables, so that the user's own take precedence.
_DEFAULTS = {
    "WANDB_PROJECT": "vlm-uec",
    "WANDB_CONSOLE": "off",  # console capture would replace stdout, which the live line writes to
    "WANDB_SILENT": "true",
    "WANDB_LOGIN_TIMEOUT": "30",  # seconds: limits the login prompt on an unattended terminal
    "WANDB_FINISH_TIMEOUT": "60",  # seconds: without it, a lost network blocks the end for ever
}

log = logging.getLogger(__name__)


class WandbTracker:
    """A Weights & Biases run that a resumed training continues; its id is kept in `run_dir`.

    Values are logged over the metric `step`: wandb's own step count only grows, and would reject the steps
    that a resumed run repeats. The first error of any kind is logged in one line and ends only the tracking.
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
        # Changed settings are allowed: a run may resume with another learning rate.
        self._run = wandb.init(
            id=_run_id(run_dir),
            resume="allow",
            dir=str(run_dir),
            config=dict(settings),
            allow_val_change=True,
        )
        self._run.define_metric("*", step_metric="step")
        log.info("wandb: %s", self._run.url or f"offline, under {run_dir}/wandb; wandb sync uploads it")

    def _attempt(self, what: str, work: Callable[[], object]) -> None:
        try:
            work()
        except (Exception, SystemExit) as error:
            self._run = None
            reason = escape(" ".join(f"{type(error).__name__}: {error}".split()), 300)
            log.warning("wandb: %s (%s); training continues without it", what, reason)


def _run_id(run_dir: Path) -> str:
    path = run_dir / ID_FILE
    if path.is_file() and re.fullmatch("[0-9a-f]{16}", saved := path.read_text("utf-8", "replace").strip()):
        return saved
    atomic_write(path, [f"{(fresh := secrets.token_hex(8))}\n".encode()])
    return fresh
