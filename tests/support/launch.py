"""Real runs of the tiny recipe in subprocesses, started as a user starts them."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from benchmarks.lib.launching import ROOT, SHORT, free_port
from data_prep.__main__ import main as data_prep

GEOMETRY3K = ROOT.parent / "shared" / "data" / "geometry3k"
BUNDLED_MODEL = ROOT / "assets" / "tiny-qwen2.5-vl"
TIMEOUT_S = 240
TINY_PIXELS = 3136


def launch(script: str, *arguments: str, ranks: int = 2, timeout_s: float = TIMEOUT_S) -> str:
    """Runs `script` under the launcher, from the repository root; returns what it printed."""
    deepspeed = str(Path(sys.executable).parent / "deepspeed")
    command = [deepspeed, "--num_accelerators", str(ranks), "--master_port", str(free_port()), script]
    done = execute([*command, *arguments], timeout_s)
    if done.returncode:
        pytest.fail(f"{script} exited {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}")
    return done.stdout


def launch_on_two_nodes(script: str, *arguments: str) -> None:
    """One launcher per node, as a cluster's scheduler starts them; both nodes are this machine."""
    hosts = workspace() / "hostfile"
    hosts.write_text("node-a slots=1\nnode-b slots=1\n", encoding="utf-8")
    deepspeed = str(Path(sys.executable).parent / "deepspeed")
    port = str(free_port())
    nodes = [
        start(
            [
                *(deepspeed, "--hostfile", str(hosts), "--no_ssh", "--node_rank", str(node)),
                *("--master_addr", "127.0.0.1", "--master_port", port, script, *arguments),
            ]
        )
        for node in range(2)
    ]
    with ThreadPoolExecutor(2) as waiting:
        results = list(waiting.map(_wait, nodes))
    if any(done.returncode for done in results):
        pytest.fail("\n".join(f"node {node}: {done}" for node, done in enumerate(results))[-12000:])


def execute(command: Sequence[str], timeout_s: float = TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    """Runs `command` on the CPU with one thread a rank; after `timeout_s` its process group is killed."""
    return _wait(start(command), timeout_s)


def _wait(process: subprocess.Popen[str], timeout_s: float = TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    try:
        out, errors = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        out, errors = process.communicate()
        pytest.fail(f"{process.args!r}: not done after {timeout_s} s\n{out[-6000:]}\n{errors[-6000:]}")
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def start(command: Sequence[str]) -> subprocess.Popen[str]:
    """Starts `command` as `execute` does, and returns while it runs."""
    environment = {
        **{
            key: value for key, value in os.environ.items() if key not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")
        },
        "OMP_NUM_THREADS": "1",
        "DS_ACCELERATOR": "cpu",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def train(run_dir: Path, data: Path, *overrides: str, nodes: int = 1) -> Path:
    """Trains the tiny recipe, shortened, on two ranks; later overrides win. Returns `run_dir`."""
    paths = (f"model.path={model_copy()}", f"data.path={data}", f"train.run_dir={run_dir}")
    run = launch if nodes == 1 else launch_on_two_nodes
    run("train.py", "--config", "configs/tiny_cpu.yaml", *SHORT, *paths, *overrides)
    return run_dir


@functools.cache
def _workspace() -> tempfile.TemporaryDirectory[str]:
    # The cache keeps it until the test process ends.
    return tempfile.TemporaryDirectory(prefix="vlm_uec_tests_")


def workspace() -> Path:
    """A directory for data, models and runs that several test files share."""
    return Path(_workspace().name)


@functools.cache
def model_copy() -> Path:
    """A copy of the bundled model, which may be rebuilt while tests run."""
    return Path(shutil.copytree(BUNDLED_MODEL, workspace() / "model"))


@functools.cache
def synthetic_data() -> Path:
    """Enough problems for three steps an epoch, so that a short run also reaches the second epoch."""
    out = workspace() / "synthetic"
    assert (
        data_prep(["synthetic", "--out", str(out), "--train", "24", "--validation", "4", "--test", "4"]) == 0
    )
    return out


SCHEDULE = ("optim.warmup_steps=2", "optim.decay=cosine", "optim.min_ratio=0.1")


@functools.cache
def synthetic_run() -> Path:
    """Four steps on two simulated nodes, with warm-up and decay, every checkpoint kept and validation at
    the end."""
    validation = ("train.eval_every=4", "evaluation.n=2", "evaluation.temperature=0.5", "train.keep=9")
    run_dir = workspace() / "synthetic_run"
    return train(run_dir, synthetic_data(), "train.steps=4", *SCHEDULE, *validation, nodes=2)


@functools.cache
def geometry3k_run() -> Path:
    """The same four steps on real diagrams, at sixteen times the pixels of the tiny recipe."""
    data = geometry3k_data()
    return train(workspace() / "geometry3k_run", data, "train.steps=4", "data.max_pixels=50176")


@functools.cache
def geometry3k_data() -> Path:
    """The first few problems of Geometry3K whose diagrams exist; skips the test without the data set."""
    if not GEOMETRY3K.is_dir():
        pytest.skip("needs Geometry3K beside the repository")
    raw = workspace() / "geometry3k_raw"
    for split, count in (("train", 24), ("val", 4), ("test", 12)):
        lines = (GEOMETRY3K / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [
            row for row in map(json.loads, lines) if row["image"] and (GEOMETRY3K / row["image"]).is_file()
        ]
        for row in rows[:count]:
            (raw / row["image"]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(GEOMETRY3K / row["image"], raw / row["image"])
        (raw / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:count]))
    out = workspace() / "geometry3k"
    assert data_prep(["geometry3k", "--raw", str(raw), "--out", str(out)]) == 0
    return out


def metrics(run_dir: Path) -> list[dict[str, Any]]:
    lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def reproducible_metrics(run_dir: Path) -> list[dict[str, Any]]:
    """Metrics that two runs have in common: without times, speed and peak memory."""
    measured = ("time/", "tokens_per_second", "memory/")
    return [
        {name: value for name, value in row.items() if not name.startswith(measured)}
        for row in metrics(run_dir)
    ]
