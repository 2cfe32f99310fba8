"""Console display of a run's progress: one live line on a terminal, plain lines elsewhere.

Rank 0 prints to the console, other ranks to their logs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol, TextIO

from vlm_uec.cli import discard_stdout
from vlm_uec.rollout.engine import Progress
from vlm_uec.telemetry.phases import TOTAL, shares_line

PLAIN_EVERY_S = 30.0
SHOWN = {
    "reward/accuracy": "acc {:.3f}",
    "entropy/exact": "entropy {:.3f}",
    "uec/difficult_prompts": "difficult {:.0f}",
    "uec/rescued_prompts": "rescued {:.0f}",
    "uec/pending": "pending {:.0f}",
    "uec/replay_size": "replay {:.0f}",
    "grad_norm": "grad {:.2f}",
    "response_tokens/mean": "len {:.0f}",
    "tokens_per_second": "{:.0f} tok/s",
    "eval/pass@1": "eval {:.3f}",
    "time/step": "{:.1f} s",
}


class PhaseListener(Protocol):
    """Publishes this rank's phase to the other ranks (`vlm_uec.ranks.heartbeat`)."""

    def start_phase(self, phase: str) -> None: ...

    def record_progress(self) -> None: ...


class Display:
    """Prints on rank 0, and on other ranks after `write_to`; passes phases and progress to `monitor`."""

    def __init__(
        self,
        *,
        active: bool,
        steps: int = 0,
        stream: TextIO = sys.stdout,
        monitor: PhaseListener | None = None,
    ) -> None:
        self._monitor = monitor
        self._active, self._steps, self._stream = active, steps, stream
        self._live = active and stream.isatty()
        self._phase = ""
        self._phase_started_at = self._printed_at = time.monotonic()

    def write_to(self, stream: TextIO) -> None:
        """Prints lines to `stream` from now on, on any rank."""
        self._active, self._live, self._stream = True, False, stream

    def start_phase(self, phase: str) -> None:
        """Shows and publishes the phase that starts now."""
        if self._monitor:
            self._monitor.start_phase(phase)
        self._phase = phase
        self._phase_started_at = self._printed_at = time.monotonic()
        if self._live:
            self._overwrite(self._phase)

    def record_progress(self) -> None:
        """Publishes progress within the phase without printing."""
        if self._monitor:
            self._monitor.record_progress()

    def progress(self, progress: Progress) -> None:
        """Shows a rollout's progress, speed and remaining time."""
        self.record_progress()
        now = time.monotonic()
        seconds = max(now - self._phase_started_at, 1e-9)
        line = (
            f"{self._phase} {progress.finished}/{progress.total} responses, "
            f"{progress.finished / seconds:.1f}/s, {progress.tokens / seconds:.0f} tok/s"
        )
        if progress.finished:
            left = seconds * (progress.total - progress.finished) / progress.finished
            line += f", {timedelta(seconds=round(left))} left"
        if self._live:
            self._overwrite(line)
        elif self._active and now - self._printed_at >= PLAIN_EVERY_S:
            self.line(line)
            self._printed_at = now

    def step(self, step: int, values: Mapping[str, float | None]) -> None:
        """Prints the step's line."""
        numbers = {name: value for name, value in values.items() if value is not None}
        shown = [form.format(numbers[name]) for name, form in SHOWN.items() if name in numbers]
        if TOTAL in numbers:
            shown.append(f"({shares_line(numbers)})")
        self.line(f"step {step}/{self._steps}  " + "  ".join(shown))

    def line(self, text: str) -> None:
        if self._live:
            self._overwrite("")
        self._write(text + "\n")

    def _overwrite(self, text: str) -> None:
        self._write("\r\x1b[K" + text)

    def _write(self, text: str) -> None:
        if not self._active:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError:
            # The reader closed the pipe (`| head`): training continues without the display.
            self._active = self._live = False
            discard_stdout()
