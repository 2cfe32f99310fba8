"""A two-rank training run in processes of its own, watched from outside: its phase, its ranks, its end.

On a terminal the trainer names every phase as it begins, so the run is given one. Needs Linux: the exit
codes of ranks, which are the launcher's children and not ours, are read from /proc/PID/stat, see proc(5).
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread

from benchmarks.lib.launching import ROOT, free_port

RANKS = 2
CONFIG = "configs/tiny_cpu.yaml"
POLL_S = 0.002
RUN_LIMIT_S = 300.0
SPAWNED = re.compile(r"process (\d+) spawned with command")  # the launcher's words, rank by rank
ENDED = re.compile(r"exits with return code = (-?\d+)")  # the same, of the first rank to end badly
# The trainer's: "step 3: rollout", and the line that a step leaves, "step 3/6 …".
DOING = re.compile(r"step (\d+)(?:: (\w+)|/(\d+) )")


class WatchedRun:
    """Starts at once; the launcher and the ranks share a session and a process group."""

    def __init__(self, settings: Sequence[str], log: Path) -> None:
        """`settings`: dotted.key=value of train.py; `log`: takes what the run prints."""
        reader, terminal = pty.openpty()
        deepspeed = str(Path(sys.executable).with_name("deepspeed"))
        command = [deepspeed, "--num_accelerators", str(RANKS), "--master_port", str(free_port())]
        self._since = time.monotonic()
        self._process = subprocess.Popen(
            [*command, "train.py", "--config", CONFIG, *settings],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"},
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        self.text = ""
        self._thread = Thread(target=self._read, args=(reader, log), daemon=True)
        self._thread.start()

    def _read(self, reader: int, log: Path) -> None:
        with log.open("wb") as file, suppress(OSError):  # EIO: the last writer has gone
            while chunk := os.read(reader, 65536):
                file.write(chunk)
                self.text += chunk.decode(errors="replace")
        os.close(reader)

    def says(self, mark: str) -> bool:
        return mark in self.text

    def ranks(self) -> list[int]:
        """Process ids by rank; empty until all are there."""
        pids = [int(pid) for pid in SPAWNED.findall(self.text)]
        return pids if len(pids) == RANKS else []

    def seconds_until(self, condition: Callable[[], object], limit: float = RUN_LIMIT_S) -> float | None:
        """Seconds from the start to when `condition` holds; None where the run ended or `limit` s passed."""
        until = time.monotonic() + limit
        while not condition():
            if time.monotonic() > until or self._process.poll() is not None:
                return None
            time.sleep(POLL_S)
        return time.monotonic() - self._since

    def kill_group(self) -> None:
        """SIGKILL to the command, the launcher and the ranks."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self, limit: float) -> int | None:
        """The command's exit code once no process of the run is left; None where some had to be killed."""
        until = time.monotonic() + limit
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(limit)
        while in_time := time.monotonic() < until:
            if not self._processes():
                break
            time.sleep(0.05)
        if not in_time:
            self.kill_group()
        code = self._process.wait()
        self._thread.join(timeout=5)
        return code if in_time else None

    def _processes(self) -> list[int]:
        pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        return [pid for pid in pids if not has_ended(pid) and _session(pid) == self._process.pid]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def _stat(pid: int) -> list[str]:
    """From the state on; raises `ProcessLookupError` where the parent has taken the exit code."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        raise ProcessLookupError(pid) from error
    return text.rpartition(")")[2].split()


def parent(pid: int) -> int:
    return int(_stat(pid)[1])


def exit_code(pid: int) -> int | None:
    """Of a process whose parent has not asked yet, negative for a signal; None while it runs."""
    state, *_, status = _stat(pid)
    return os.waitstatus_to_exitcode(int(status)) if state in "ZX" else None


def has_ended(pid: int) -> bool:
    try:
        return exit_code(pid) is not None
    except ProcessLookupError:
        return True


def phase(text: str) -> str:
    """What a run that printed `text` does now: start, then rollout, update and so on, and export.

    "metrics" is between the line of a step, which is printed when it is done, and the next step.
    """
    told = list(DOING.finditer(text))
    if not told:
        return "start"
    step, doing, steps = told[-1].groups()
    return doing or ("export" if step == steps else "metrics")
