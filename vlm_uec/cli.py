"""Exit codes, error lines and console logging, shared by all commands."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from vlm_uec.errors import RunEnd, Stopped


def exit_code_of(work: Callable[[], None]) -> int:
    """0, or the exit code of the `RunEnd` that `work` raised; one rank prints its message to stderr."""
    configure_logging()
    try:
        work()
    except Stopped as stop:
        return stop.exit_code  # the signal was logged when it arrived
    except RunEnd as error:
        if os.environ.get("RANK", "0") != "0":
            # If rank 0 fails too, the launcher ends this rank first, and the message is printed once.
            time.sleep(5)
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        discard_stdout()  # results are printed last, so nothing else is lost
    return 0


def configure_logging() -> None:
    """Sends records of the package's loggers, from INFO up, to the process's original stderr.

    Warnings and errors start with their level; information is printed as it is.
    """
    logger = logging.getLogger("vlm_uec")
    logger.setLevel(logging.INFO)
    logger.propagate = False  # a library that configures the root logger would print every record again
    if not any(isinstance(handler, _ConsoleHandler) for handler in logger.handlers):
        handler = _ConsoleHandler()
        handler.setFormatter(_LevelPrefix())
        logger.addHandler(handler)


class _ConsoleHandler(logging.Handler):
    """Writes to `sys.__stderr__`, which stays the console if a rank's output is redirected to its log."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # a closed pipe must not stop the thread that logs
            print(self.format(record), file=sys.__stderr__, flush=True)


class _LevelPrefix(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {text}"


def discard_stdout() -> None:
    """Redirects stdout to the null device after a broken pipe, so that the flush at exit does not raise."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
