"""A two-rank training run in separate processes, observed from outside: its phase, its ranks and its end.

The trainer prints each phase only on a terminal, so the run gets a pseudo-terminal. Needs Linux: the ranks
are children of the launcher, so their exit codes are read from /proc/PID/stat, see proc(5).
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread

from benchmarks.lib.launching import ROOT, TINY_CONFIG, deepspeed_command, free_port

RANKS = 2
POLL_S = 0.002
RUN_LIMIT_S = 300.0
# The launcher's lines: one for each rank it starts, and one for the first rank that fails.
SPAWNED_RANK = re.compile(r"process (\d+) spawned with command")
RANK_EXIT = re.compile(r"exits with return code = (-?\d+)")
# The trainer's lines: "step 3: rollout", and the summary of a finished step, "step 3/6 …".
PHASE_LINE = re.compile(r"step (\d+)(?:: (\w+)|/(\d+) )")


class WatchedRun:
    """Starts at once; the launcher and the ranks share a session and a process group."""

    def __init__(self, settings: Sequence[str], log: Path) -> None:
        """`settings`: dotted.key=value of train.py; `log`: the file for the run's output."""
        reader, terminal = pty.openpty()
        command = deepspeed_command("--num_accelerators", str(RANKS), "--master_port", str(free_port()))
        self._since = time.monotonic()
        self._process = subprocess.Popen(
            [*command, "train.py", "--config", TINY_CONFIG, *settings],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"},
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        self.output = ""
        self._thread = Thread(target=self._read, args=(reader, log), daemon=True)
        self._thread.start()

    def _read(self, reader: int, log: Path) -> None:
        with log.open("wb") as file, suppress(OSError):  # EIO: the last writer has closed the terminal
            while chunk := os.read(reader, 65536):
                file.write(chunk)
                self.output += chunk.decode(errors="replace")
        os.close(reader)

    def has_printed(self, mark: str) -> bool:
        return mark in self.output

    def rank_pids(self) -> list[int]:
        """Process ids by rank; empty until all ranks have started."""
        pids = [int(pid) for pid in SPAWNED_RANK.findall(self.output)]
        return pids if len(pids) == RANKS else []

    def seconds_until(self, condition: Callable[[], object], limit: float = RUN_LIMIT_S) -> float | None:
        """Seconds from the start until `condition` holds; None if the run ended or `limit` s passed first."""
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

    def wait_for_end(self, limit: float) -> int | None:
        """The command's exit code when every process of the run has ended; None if some had to be killed."""
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
    """Fields from the state on; raises `ProcessLookupError` if the parent has collected the exit code."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        raise ProcessLookupError(pid) from error
    return text.rpartition(")")[2].split()


def parent_pid(pid: int) -> int:
    return int(_stat(pid)[1])


def exit_code(pid: int) -> int | None:
    """Exit code that the parent has not collected yet, negative for a signal; None while the process runs."""
    state, *_, status = _stat(pid)
    return os.waitstatus_to_exitcode(int(status)) if state in "ZX" else None


def has_ended(pid: int) -> bool:
    try:
        return exit_code(pid) is not None
    except ProcessLookupError:
        return True


def current_phase(output: str) -> str:
    """Phase of a run that has printed `output`: start, then rollout, update and so on, and export.

    "metrics" lies between the summary line of a step, which is printed at its end, and the next step.
    """
    lines = list(PHASE_LINE.finditer(output))
    if not lines:
        return "start"
    step, phase, steps = lines[-1].groups()
    return phase or ("export" if step == steps else "metrics")
