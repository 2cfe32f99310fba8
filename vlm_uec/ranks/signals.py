"""SIGTERM and SIGINT as requests to stop, which the run follows at its next safe point.

The first signal requests a stop, on whichever rank it arrives: ranks pass requests on to each other. Repeats
within `REPEAT_S` count as the same request, because a signal to a process group reaches a rank twice, from
the sender and from the launcher. A later one ends the process at once.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from vlm_uec.errors import Stopped
from vlm_uec.ranks.collectives import gather_objects

SIGNALS = (signal.SIGTERM, signal.SIGINT)
REPEAT_S = 5.0

log = logging.getLogger(__name__)


class StopRequest:
    """Whether a signal requested this run to stop."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, leave: Callable[[int], object] = os._exit
    ) -> None:
        """`clock`: monotonic seconds; `leave`: ends the process with an exit code."""
        self._clock, self._leave = clock, leave
        self._since: float | None = None  # of this rank's own first signal
        self.signum: int | None = None

    def on_signal(self, signum: int) -> None:
        """Handles a signal sent to this rank; a second one, later than `REPEAT_S`, ends the process."""
        now = self._clock()
        if self._since is None:
            self._since = now
            if self.signum is None:
                self.signum = signum
            self._log(f"{_name(signum)}: stopping at the next safe point; a second signal ends at once")
        elif now - self._since > REPEAT_S:
            self._log(f"second {_name(signum)}: ending at once")
            self._leave(128 + signum)

    def receive(self, signum: int) -> None:
        """Takes over another rank's request; it does not count as this rank's first signal."""
        if self.signum is None:
            self.signum = signum

    def check(self) -> None:
        """Raises `Stopped` where this rank has a request."""
        if self.signum is not None:
            raise Stopped(self.signum)

    def check_all_ranks(self) -> None:
        """Raises `Stopped` on all ranks where any has a request; every rank calls it."""
        requests = [signum for signum in gather_objects(self.signum) if signum is not None]
        if requests:
            raise Stopped(requests[0])

    @staticmethod
    def _log(text: str) -> None:
        log.info("rank %s: %s", os.environ.get("RANK", "0"), text)


@contextmanager
def handle_signals(request: StopRequest) -> Iterator[None]:
    """Passes signals to `request` inside the block, also while the main thread waits inside a library.

    A Python handler would run only when such a wait ends, so a thread reads the interpreter's wake-up pipe.
    If a signal came, later ones are ignored after the block: the first determines the exit code, which a
    repeat during the interpreter's shutdown would replace.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _ignore) for number in SIGNALS}
    thread = threading.Thread(target=_read_signals, args=(reader, request), name="signals", daemon=True)
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


def _read_signals(reader: socket.socket, request: StopRequest) -> None:
    while received := reader.recv(64):
        for number in received:
            if number in SIGNALS:
                request.on_signal(number)


def _ignore(signum: int, frame: FrameType | None) -> None:
    """Python writes a signal to the wake-up pipe only where a handler is set."""


def _name(signum: int) -> str:
    return signal.Signals(signum).name
