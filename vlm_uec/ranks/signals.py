"""SIGTERM and SIGINT as a wish to stop, which the run grants at its next safe point.

The first signal asks, on whatever rank it arrives: ranks tell each other. Repeats within `REPEAT_S` count
as the same one, because a signal to a process group reaches a rank twice, from the sender and from the
launcher. A later one ends the process at once.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from vlm_uec.cli import log_stderr
from vlm_uec.errors import Stopped
from vlm_uec.ranks.collectives import gather_objects

SIGNALS = (signal.SIGTERM, signal.SIGINT)
REPEAT_S = 5.0


class StopRequest:
    """Whether somebody asked this run to stop."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, leave: Callable[[int], object] = os._exit
    ) -> None:
        """`clock`: seconds, never running backwards; `leave`: ends the process with an exit code."""
        self._clock, self._leave = clock, leave
        self._since: float | None = None  # of this rank's own first signal
        self.signum: int | None = None

    def ask(self, signum: int) -> None:
        """Takes a signal that was sent to this rank; the second one, later than `REPEAT_S`, ends it."""
        now = self._clock()
        if self._since is None:
            self._since = now
            if self.signum is None:
                self.signum = signum
            self._say(f"{_name(signum)}: stopping at the next safe point; once more ends at once")
        elif now - self._since > REPEAT_S:
            self._say(f"{_name(signum)} once more: ending at once")
            self._leave(128 + signum)

    def hear(self, signum: int) -> None:
        """Takes another rank's request; it is no second signal."""
        if self.signum is None:
            self.signum = signum

    def check(self) -> None:
        """Raises `Stopped` where this rank knows of a request."""
        if self.signum is not None:
            raise Stopped(self.signum)

    def check_together(self) -> None:
        """Raises `Stopped` on all ranks where any knows of a request; every rank calls it."""
        asked = [signum for signum in gather_objects(self.signum) if signum is not None]
        if asked:
            raise Stopped(asked[0])

    @staticmethod
    def _say(text: str) -> None:
        log_stderr(f"rank {os.environ.get('RANK', '0')}: {text}")


@contextmanager
def listening(request: StopRequest) -> Iterator[None]:
    """Signals go to `request` meanwhile, also while the main thread waits inside a library.

    A Python handler would run only when such a wait ends, so a thread reads the interpreter's wake-up pipe.
    Where a signal came, later ones are ignored from then on: the process ends by the first, and a repeat
    that arrives while the interpreter closes would take its exit code.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _ignore) for number in SIGNALS}
    thread = threading.Thread(target=_read, args=(reader, request), name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler if request.signum is None else signal.SIG_IGN)
        signal.set_wakeup_fd(before)
        writer.close()
        thread.join()
        reader.close()


def _read(reader: socket.socket, request: StopRequest) -> None:
    while received := reader.recv(64):
        for number in received:
            if number in SIGNALS:
                request.ask(number)


def _ignore(signum: int, frame: FrameType | None) -> None:
    """Python writes a signal to the pipe only where it has a handler."""


def _name(signum: int) -> str:
    return signal.Signals(signum).name
