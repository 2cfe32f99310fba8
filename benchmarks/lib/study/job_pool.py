"""Runs single-rank programs, several in parallel and each once.

After an interruption the same call skips finished jobs; unfinished training runs resume (resume=auto).
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import torch

from benchmarks.lib.launching import ROOT, deepspeed_command, free_port


@dataclass(frozen=True)
class Job:
    """A program for one rank. `done`: the file that marks its success."""

    name: str
    done: Path
    log: Path
    script: str
    arguments: tuple[str, ...]


def default_parallel_jobs() -> int:
    """One job per GPU, or per core without GPUs."""
    return torch.cuda.device_count() or os.cpu_count() or 1


def run_all(jobs: Sequence[Job], parallel: int, report: Callable[[str], None]) -> None:
    """Runs jobs that are not done; on the first failure terminates the others and raises RuntimeError."""
    devices: Queue[int] = Queue()
    for number in range(parallel):
        devices.put(number)
    running: set[subprocess.Popen[bytes]] = set()

    def run(job: Job) -> None:
        device = devices.get()
        report(f"{job.name}: starts")
        process = _start(job, device)
        running.add(process)
        code = process.wait()
        running.discard(process)
        devices.put(device)
        if code:
            raise RuntimeError(f"{job.name}: exit code {code}; see {job.log}")
        job.done.touch()
        report(f"{job.name}: done")

    with ThreadPoolExecutor(parallel) as pool:
        tasks = [pool.submit(run, job) for job in jobs if not job.done.exists()]
        try:
            for task in wait(tasks, return_when=FIRST_EXCEPTION).done:
                task.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                os.killpg(process.pid, signal.SIGTERM)


def _start(job: Job, device: int) -> subprocess.Popen[bytes]:
    job.log.parent.mkdir(parents=True, exist_ok=True)
    gpu = torch.cuda.is_available()
    ranks = ["--include", f"localhost:{device}"] if gpu else ["--num_accelerators", "1"]
    command = deepspeed_command("--log_level", "error", "--master_port", str(free_port()), *ranks)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **({} if gpu else {"DS_ACCELERATOR": "cpu"})}
    with job.log.open("ab") as log:
        return subprocess.Popen(
            [*command, job.script, *job.arguments],
            cwd=ROOT,
            env={**environment, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
