"""What the run is doing, on rank 0's console: one live line on a terminal, plain lines elsewhere.

Other ranks say it in their logs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol, TextIO

from vlm_uec.cli import forget_stdout
from vlm_uec.rollout.engine import Progress
from vlm_uec.telemetry.phases import WHOLE, shares_line

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
    """Publishes what this rank does to the other ranks (`vlm_uec.ranks.heartbeat`)."""

    def doing(self, what: str) -> None: ...

    def moved(self) -> None: ...


class Display:
    """Prints on rank 0; silent elsewhere, until told where. The rank's watch hears everything."""

    def __init__(
        self,
        *,
        active: bool,
        steps: int = 0,
        stream: TextIO = sys.stdout,
        watch: PhaseListener | None = None,
    ) -> None:
        self._watch = watch
        self._active, self._steps, self._stream = active, steps, stream
        self._live = active and stream.isatty()
        self._doing = ""
        self._since = self._said = time.monotonic()

    def write_to(self, stream: TextIO) -> None:
        """Lines go there from here on, on any rank."""
        self._active, self._live, self._stream = True, False, stream

    def doing(self, what: str) -> None:
        """Names the phase that starts now."""
        if self._watch:
            self._watch.doing(what)
        self._doing = what
        self._since = self._said = time.monotonic()
        if self._live:
            self._overwrite(self._doing)

    def moved(self) -> None:
        """The work got on, with nothing to show for it."""
        if self._watch:
            self._watch.moved()

    def progress(self, progress: Progress) -> None:
        """How far a rollout is, how fast, and what time is left at that speed."""
        self.moved()
        now = time.monotonic()
        seconds = max(now - self._since, 1e-9)
        line = (
            f"{self._doing} {progress.finished}/{progress.total} responses, "
            f"{progress.finished / seconds:.1f}/s, {progress.tokens / seconds:.0f} tok/s"
        )
        if progress.finished:
            left = seconds * (progress.total - progress.finished) / progress.finished
            line += f", {timedelta(seconds=round(left))} left"
        if self._live:
            self._overwrite(line)
        elif self._active and now - self._said >= PLAIN_EVERY_S:
            self.line(line)
            self._said = now

    def step(self, step: int, values: Mapping[str, float | None]) -> None:
        """The line that stays."""
        numbers = {name: value for name, value in values.items() if value is not None}
        shown = [form.format(numbers[name]) for name, form in SHOWN.items() if name in numbers]
        if WHOLE in numbers:
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
            # Who read along has gone (`| head`): the work goes on.
            self._active = self._live = False
            forget_stdout()
