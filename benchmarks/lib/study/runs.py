"""The entropy study's runs: which arms there are, and a pool that trains what is not trained yet.

A run is one process, so that as many go on at a time as there are cores, or GPUs. Whatever ends the study
early, the same command goes on: runs from their newest checkpoints, by resume=auto.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import torch

from benchmarks.lib.launching import ROOT, free_port

CONFIG = "configs/tiny_cpu.yaml"
ARMS: dict[str, tuple[str, ...]] = {
    "GRPO": ("algorithm=grpo",),
    "DAPO": ("algorithm=dapo",),
    # Ten times the preset's: at 1e-3 it is not to be told from GRPO here.
    "entropy bonus": ("algorithm=entropy_bonus", "loss.entropy_coef=0.01"),
    "UEC": ("algorithm=uec",),
    "UEC, no exploration": ("algorithm=uec", "exploration.enabled=false"),
    "UEC, no stabiliser": ("algorithm=uec", "stabilizer.enabled=false"),
    "UEC, no retention": ("algorithm=uec", "retention.regular=false", "retention.exploration=false"),
    # Retention leaves half as many batches a token, and so half the optimizer steps: is it that?
    "GRPO, two steps a batch": ("algorithm=grpo", "optim.minibatch=8"),
    "UEC, two steps a batch": ("algorithm=uec", "optim.minibatch=8"),
}
SETTINGS = (
    "prompt.template='{{ question }}'",
    "rollout.prompts=16",
    "rollout.n=8",
    "rollout.max_tokens=64",
    "exploration.n=16",
    "exploration.temperature=1.2",
    # One optimizer step a batch unless an arm says so, and no pull to a base model that is mostly wrong.
    "optim.minibatch=16",
    "loss.kl_coef=0",
    "optim.lr=1e-4",
    "evaluation.n=16",
    "evaluation.temperature=1.0",
    "train.measure_entropy=true",
    "train.eval_every=25",
    "train.save_every=25",
    "train.keep=1",
    "train.keep_best=0",
    "guard.rank_timeout=600",
)
# What an arm is compared with besides GRPO: the same with as many optimizer steps a batch.
MATCHED = {"UEC, two steps a batch": "GRPO, two steps a batch"}
MANY_STEPS = 100_000  # the bound of sampled tokens ends a run


@dataclass(frozen=True)
class StudyRun:
    """One arm with one seed."""

    arm: str
    seed: int
    folder: Path


@dataclass(frozen=True)
class Inputs:
    """What every run of a study has in common."""

    model: Path
    data: Path
    tokens: int  # sampled ones, after which a run ends
    extra: tuple[str, ...] = ()

    def overrides(self, folder: Path, seed: int) -> list[str]:
        return [
            f"model.path={self.model}",
            f"data.path={self.data}",
            f"train.run_dir={folder}",
            f"train.seed={seed}",
            f"train.steps={MANY_STEPS}",
            f"train.max_response_tokens={self.tokens}",
            *SETTINGS,
            *self.extra,
        ]


@dataclass(frozen=True)
class Job:
    """A program for one rank. `done`: the file that is left where it ended well."""

    name: str
    done: Path
    log: Path
    script: str
    arguments: tuple[str, ...]


def study_runs(out: Path, arms: Sequence[str], seeds: Sequence[int]) -> list[StudyRun]:
    """Seeds in turn, so that a study cut short has whole pairs."""
    return [StudyRun(arm, seed, out / "runs" / f"{_slug(arm)}_seed_{seed}") for seed in seeds for arm in arms]


def training(run: StudyRun, inputs: Inputs) -> Job:
    settings = [*inputs.overrides(run.folder, run.seed), *ARMS[run.arm], "resume=auto"]
    return Job(
        name=f"{run.arm}, seed {run.seed}",
        done=run.folder / f"{inputs.tokens}_tokens.done",
        log=run.folder.with_suffix(".log"),
        script="train.py",
        arguments=("--config", CONFIG, *settings),
    )


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
    deepspeed = str(Path(sys.executable).with_name("deepspeed"))
    gpu = torch.cuda.is_available()
    place = ["--include", f"localhost:{device}"] if gpu else ["--num_accelerators", "1"]
    command = [deepspeed, "--log_level", "error", "--master_port", str(free_port()), *place, job.script]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **({} if gpu else {"DS_ACCELERATOR": "cpu"})}
    with job.log.open("ab") as log:
        return subprocess.Popen(
            [*command, *job.arguments],
            cwd=ROOT,
            env={**environment, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _slug(arm: str) -> str:
    return arm.lower().replace(",", "").replace(" ", "_")
