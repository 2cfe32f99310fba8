"""The process that runs `worker.py`, on the side of the trainer: one request, one reply."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

from vlm_uec.errors import RunFailed, UserError
from vlm_uec.escape import escape
from vlm_uec.mathruler.install import INSTALL, check_installed
from vlm_uec.mathruler.worker import Reply

_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME")


@dataclass(frozen=True)
class Limits:
    """Limits of one verdict, and of the process that computes it.

    The CPU limit does not depend on the machine's load. The limit in seconds is for a process that does not
    compute at all.
    """

    cpu_seconds: int = 5
    seconds: float = 60.0
    start_seconds: float = 120.0
    memory_bytes: int = 1 << 30


class WorkerProcess:
    """A running process. Whoever gets an exception from `exchange` must `kill` it."""

    def __init__(self, limits: Limits) -> None:
        """Raises UserError if mathruler cannot be used, RunFailed if the process does not start."""
        check_installed()
        self._limits = limits
        self._socket, other = socket.socketpair()
        self._received = b""
        with other:
            self._process = _start(limits, other.fileno())
        try:
            self._await_start()
        except BaseException:
            self.kill()
            raise

    def exchange(self, request: dict[str, str]) -> Reply:
        """Raises TimeoutError if the reply takes too long, ConnectionError if the process has ended."""
        self._socket.settimeout(self._limits.seconds)
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        return self._read_line(self._limits.seconds)

    def exit_code(self) -> int:
        """Waits for a process that has closed its side; negative: the signal that ended it."""
        return self._process.wait()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._socket.close()

    def _await_start(self) -> None:
        try:
            ready = self._read_line(self._limits.start_seconds)
        except (TimeoutError, ConnectionError) as error:
            raise RunFailed(f"mathruler's process did not start: {error}") from error
        if "error" in ready:
            raise UserError(f"mathruler cannot be imported ({escape(ready['error'], 200)}); {INSTALL}")

    def _read_line(self, seconds: float) -> Reply:
        deadline = time.monotonic() + seconds
        while b"\n" not in self._received:
            self._socket.settimeout(max(deadline - time.monotonic(), 1e-3))
            received = self._socket.recv(1 << 16)
            if not received:
                raise ConnectionResetError("it ended")
            self._received += received
        line, _, self._received = self._received.partition(b"\n")
        reply: Reply = json.loads(line)
        return reply


def _start(limits: Limits, connection: int) -> subprocess.Popen[bytes]:
    """Starts the process with the file descriptor `connection` as its stdin and stdout."""
    arguments = [str(limits.cpu_seconds), str(limits.memory_bytes)]
    # -P: a file in the working directory must not replace a module.
    return subprocess.Popen(  # noqa: S603  (this Python and this project)
        [sys.executable, "-P", "-m", "vlm_uec.mathruler.worker", *arguments],
        env=_environment(),
        stdin=connection,
        stdout=connection,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C must not reach it: mathruler would catch the exception
    )


def _environment() -> dict[str, str]:
    """What Python needs to start and to find the same packages; no tokens or keys of the user."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
