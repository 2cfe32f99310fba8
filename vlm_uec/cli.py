"""How a command ends: its exit code, and its one line."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from vlm_uec.errors import RunEnd, Stopped


def exit_code_of(work: Callable[[], None]) -> int:
    """0, or that of the `RunEnd` that `work` raised, which is told on stderr, by one rank."""
    try:
        work()
    except Stopped as stop:
        return stop.exit_code  # told where it was noticed
    except RunEnd as error:
        if os.environ.get("RANK", "0") != "0":
            # Where rank 0 fails too, the launcher ends this rank first and the line is told once.
            time.sleep(5)
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        forget_stdout()  # a result is printed last: who read along has seen enough of it
    return 0


def log_stderr(text: str) -> None:
    """A line on the process's own stderr, from any thread: a reader who left must not stop what follows."""
    with suppress(OSError):
        print(text, file=sys.__stderr__, flush=True)


def forget_stdout() -> None:
    """After a broken pipe: what is still to be flushed goes nowhere, instead of raising at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
