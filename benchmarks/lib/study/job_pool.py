"""A pool of single-rank programs: each runs once, several at a time."""

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
    """A program for one rank. `done`: the file that is left where it ended well."""

    name: str
    done: Path
    log: Path
    script: str
    arguments: tuple[str, ...]


def places() -> int:
    """How many jobs go on at a time where nobody says."""
    return torch.cuda.device_count() or os.cpu_count() or 1


def run_all(jobs: Sequence[Job], at_a_time: int, say: Callable[[str], None]) -> None:
    """Runs those that are not done; raises RuntimeError for the first that fails, and ends the others."""
    devices: Queue[int] = Queue()
    for number in range(at_a_time):
        devices.put(number)
    running: set[subprocess.Popen[bytes]] = set()

    def run(job: Job) -> None:
        device = devices.get()
        say(f"{job.name}: starts")
        process = _start(job, device)
        running.add(process)
        code = process.wait()
        running.discard(process)
        devices.put(device)
        if code:
            raise RuntimeError(f"{job.name}: exit code {code}; see {job.log}")
        job.done.touch()
        say(f"{job.name}: done")

    with ThreadPoolExecutor(at_a_time) as pool:
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
    place = ["--include", f"localhost:{device}"] if gpu else ["--num_accelerators", "1"]
    command = deepspeed_command("--log_level", "error", "--master_port", str(free_port()), *place)
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
