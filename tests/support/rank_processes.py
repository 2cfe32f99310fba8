"""Ranks as child processes in a process group of their own, to send signals to and read exit codes of."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from benchmarks.lib.launching import ROOT, SHORT, free_port
from tests.support.launch import TIMEOUT_S, model_copy


class RankProcesses:
    """The tiny recipe on several ranks, started as a cluster's scheduler would start them."""

    def __init__(
        self,
        run_dir: Path,
        data: Path,
        *overrides: str,
        ranks: int = 2,
        environment: Mapping[str, str] | None = None,
        file_size: int = resource.RLIM_INFINITY,
    ) -> None:
        paths = (f"model.path={model_copy()}", f"data.path={data}", f"train.run_dir={run_dir}")
        command = [sys.executable, "-u", "train.py", "--config", "configs/tiny_cpu.yaml"]
        port = str(free_port())
        self._log = tempfile.NamedTemporaryFile("a", prefix="ranks-")  # noqa: SIM115 (closed with this object)
        self.processes: list[subprocess.Popen[str]] = []
        for rank in range(ranks):
            variables = {
                **os.environ,
                **(environment or {}),
                "OMP_NUM_THREADS": "1",
                "DS_ACCELERATOR": "cpu",
                "PYTHONPATH": str(ROOT),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": port,
                "WORLD_SIZE": str(ranks),
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
            }
            self.processes.append(
                subprocess.Popen(
                    [*command, *SHORT, *paths, *overrides],
                    cwd=ROOT,
                    env=variables,
                    stdout=self._log,
                    stderr=subprocess.STDOUT,
                    text=True,
                    preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (file_size, file_size)),  # noqa: PLW1509
                    process_group=self.processes[0].pid if self.processes else 0,
                )
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self._log.close()

    @property
    def output(self) -> str:
        return Path(self._log.name).read_text(encoding="utf-8", errors="replace")

    def wait_for_output(self, text: str) -> None:
        """Returns when a rank has printed `text`; fails the test if the ranks end first."""
        deadline = time.monotonic() + TIMEOUT_S
        while text not in self.output:
            if time.monotonic() > deadline or all(process.poll() is not None for process in self.processes):
                pytest.fail(f"no {text!r} in the output:\n{self.output[-6000:]}")
            time.sleep(0.01)

    def send_all(self, signum: signal.Signals) -> None:
        os.killpg(self.processes[0].pid, signum)

    def exit_codes(self, *ranks: int, within: float = TIMEOUT_S) -> Sequence[int]:
        """Exit codes of `ranks` (default: all), which must end within `within` seconds."""
        deadline = time.monotonic() + within
        try:
            chosen = [self.processes[rank] for rank in ranks] or self.processes
            return [process.wait(max(0.0, deadline - time.monotonic())) for process in chosen]
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {within} s:\n{self.output[-6000:]}")
