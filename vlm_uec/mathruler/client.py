"""mathruler's verdicts from a process of its own, which is restarted if a verdict breaks a limit."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from functools import cache
from threading import Lock

from vlm_uec.mathruler.process import Limits, WorkerProcess
from vlm_uec.mathruler.worker import NO_BOX, Reply

MAX_TEXT = 1_000_000  # characters after the start of the last box
_BOX = "\\boxed{"


@dataclass(frozen=True)
class Grade:
    """A verdict. `extracted`: the last box; None if it is missing or not closed."""

    correct: bool
    extracted: str | None
    reason: str


class Grader:
    """Computes verdicts in a process that starts with the first one. Can be used from several threads."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._worker: WorkerProcess | None = None
        self._lock = Lock()

    def grade(self, response: str, truth: str) -> Grade:
        """mathruler's verdict on the last box of the response; a verdict that breaks a limit is "wrong".

        Raises UserError if mathruler cannot be used, RunFailed if its process does not start.
        """
        start = response.rfind(_BOX)
        text = "" if start < 0 else response[start:]
        if max(len(text), len(truth)) > MAX_TEXT:
            return Grade(False, None, f"longer than {MAX_TEXT} characters")
        with self._lock:
            reply = self._ask({"text": text, "truth": truth})
        extracted = None if reply["extracted"] == NO_BOX else reply["extracted"]
        return Grade(reply["correct"], extracted, reply["reason"])

    def close(self) -> None:
        """Ends the process; the next verdict starts another."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def _ask(self, request: dict[str, str]) -> Reply:
        # The system or a user may have killed the process, so the same verdict gets a second one.
        return self._try(request) or self._try(request) or _wrong("mathruler's process was killed twice")

    def _try(self, request: dict[str, str]) -> Reply | None:
        """The reply; None if the process was killed, but not by its CPU limit."""
        self._worker = self._worker or WorkerProcess(self._limits)
        try:
            return self._worker.exchange(request)
        except TimeoutError:
            self.close()
            return _wrong(f"no verdict of mathruler within {self._limits.seconds:g} s")
        except ConnectionError:
            code = self._worker.exit_code()
            self.close()
            reason = f"mathruler computed for more than {self._limits.cpu_seconds} s"
            return _wrong(reason) if code == -signal.SIGXCPU else None
        except BaseException:
            self.close()  # a late reply must not answer the next request
            raise


@cache
def shared_grader() -> Grader:
    """The grader of this process."""
    return Grader()


def _wrong(reason: str) -> Reply:
    return {"correct": False, "extracted": NO_BOX, "reason": reason}
