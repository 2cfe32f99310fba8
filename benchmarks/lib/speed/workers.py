"""Trainers in separate processes that take a step on command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from threading import Thread, Timer
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.lib.launching import deepspeed_command
from benchmarks.lib.speed.step_shapes import StepShape


def make_model(shape: str, out: Path) -> None:
    command = [sys.executable, "benchmarks/speed/random_model.py", "--shape", shape, "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_spec(
    shape: StepShape,
    model: Path,
    directory: Path,
    *,
    steps: int,
    n: int | None = None,
    kl: float = 0.0,
    difficult: float = 0.0,
    overrides: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The settings of both sides. Every step has new prompts, because TRL does not keep encoded prompts."""
    rng = np.random.default_rng(1)
    problems = []
    for number in range(shape.prompts * steps):
        picture = rng.integers(0, 256, (shape.pixels, shape.pixels, 3), dtype=np.uint8)
        Image.fromarray(picture).save(directory / f"{number}.png")
        question = "<image>In the figure, what is the value of x?"
        problems.append({"id": str(number), "question": question, "image": str(directory / f"{number}.png")})
    return {
        "model": str(model),
        "problems": problems,
        "prompts": shape.prompts,
        "n": n or shape.n,
        "max_tokens": shape.max_tokens,
        "forced_lengths": True,
        "temperature": 1.0,
        "top_p": 1.0,
        "kl_coef": kl,
        "lr": 1e-6,
        "precision": shape.precision,
        "steps": steps,
        "min_pixels": shape.pixels**2,
        "max_pixels": shape.pixels**2,
        "checkpointing": shape.checkpointing,
        "budget": shape.budget,
        "trl_microbatch": shape.trl_rows,
        "threads": 1 if shape.precision == "fp32" else (os.cpu_count() or 1),
        "reward": "forced",
        "difficult_share": difficult,
        "overrides": dict(overrides or {}),
    }


def launch_command(side: str, ranks: int) -> list[str]:
    if ranks == 1:
        return [sys.executable]
    if side == "trl":
        return [str(Path(sys.executable).with_name("torchrun")), "--nproc_per_node", str(ranks)]
    accelerators = [] if torch.cuda.is_available() else ["--num_accelerators", str(ranks)]
    return deepspeed_command("--log_level", "error", *accelerators)


@contextmanager
def worker(side: str, spec: Path, ranks: int, limit: float | None = None) -> Iterator[Connection]:
    """A trainer in a separate process, ready for its first step; `side`: "our" or "trl".

    `limit`: seconds after which the process is killed; reading from the connection then raises EOFError or
    ConnectionError.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    if not torch.cuda.is_available():
        environment["DS_ACCELERATOR"] = "cpu"
    with Listener(("127.0.0.1", 0), authkey=b"benchmark") as listener:
        port = str(listener.address[1])
        command = [*launch_command(side, ranks), f"benchmarks/speed/{side}_worker.py", str(spec), port]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
            Thread(target=report_early_exit, args=(process, listener.address), daemon=True).start()
            killer = None if limit is None else Timer(limit, process.kill)
            if killer is not None:
                killer.start()
            try:
                with listener.accept() as connection:
                    print(f"{side}: {connection.recv()['ready']}", flush=True)
                    yield connection
                    with suppress(BrokenPipeError):  # killed at its limit
                        connection.send("stop")
                process.wait(timeout=60)
            finally:
                if killer is not None:
                    killer.cancel()
                process.terminate()


def report_early_exit(process: subprocess.Popen[bytes], address: Any) -> None:
    """Connects in place of a worker that ended before it connected, so that the benchmark stops waiting."""
    process.wait()
    with suppress(OSError), Client(address, authkey=b"benchmark") as connection:
        connection.send({"ready": f"ended with {process.returncode} before its first step"})


def take_step(connection: Connection) -> dict[str, float]:
    connection.send("step")
    measured: dict[str, float] = connection.recv()
    return measured
