"""The tiny recipe trained on two ranks with vLLM, and a run whose server is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from transformers import Qwen2_5_VLForConditionalGeneration

from benchmarks.lib.launching import free_port
from benchmarks.lib.vllm_cpu import CPU_OPTIONS
from tests.support.launch import metrics, start, synthetic_data, train
from vlm_uec.rollout.vllm.host import LOG

ENGINE = (
    "rollout.engine=vllm",
    f"vllm.options={CPU_OPTIONS}",
    "reward.function=accuracy",
    "rollout.temperature=1.0",
    "exploration.temperature=1.2",
    "rollout.max_tokens=48",
)


def test_two_ranks_train_the_tiny_recipe_with_vllm(vllm_python: Path, wide: Path, tmp_path: Path) -> None:
    validation = ("train.eval_every=2", "evaluation.n=2", "evaluation.temperature=0.5")
    paths = (f"model.path={wide}", f"vllm.python={vllm_python}")
    run_dir = train(
        tmp_path / "run",
        synthetic_data(),
        *ENGINE,
        *validation,
        *paths,
        "train.steps=4",
        "pending.enabled=false",
        "loss.importance_cap=2",
    )
    rows = metrics(run_dir)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert all(0 < row["sampler/mismatch_mean"] <= row["sampler/mismatch_max"] < 1e-4 for row in rows)
    assert sum(row["uec/explored_responses"] for row in rows) > 0
    assert sum("loss/policy" in row for row in rows) >= 2  # so that later rollouts use changed weights
    assert all("eval/pass@2" in row for row in rows[1::2])
    assert all(row["entropy/exact"] > 0 for row in rows)
    Qwen2_5_VLForConditionalGeneration.from_pretrained(run_dir / "export")
    assert (run_dir / LOG).is_file()


def test_a_run_whose_server_is_killed_fails_with_a_one_line_error(
    vllm_python: Path, wide: Path, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    deepspeed = str(Path(sys.executable).parent / "deepspeed")
    command = [deepspeed, "--num_accelerators", "2", "--master_port", str(free_port()), "train.py"]
    command += [
        "--config",
        "configs/tiny_cpu.yaml",
        *ENGINE,
        f"model.path={wide}",
        f"vllm.python={vllm_python}",
    ]
    run = start([*command, f"data.path={synthetic_data()}", f"train.run_dir={run_dir}", "train.steps=500"])
    try:
        _kill_server(run, run_dir)
        _, errors = run.communicate(timeout=90)
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode != 0
    lines = [line for line in errors.splitlines() if line.startswith("error: vLLM server")]
    assert len(lines) == 1, errors
    # "no connection" if a rank was just about to connect.
    assert "lost" in lines[0] or "no connection" in lines[0]
    assert str(run_dir / LOG) in lines[0]


def _kill_server(run: subprocess.Popen[str], run_dir: Path, seconds: float = 200.0) -> None:
    """Kills the server after the first step."""
    deadline = time.monotonic() + seconds
    while not (run_dir / "metrics.jsonl").is_file() or not metrics(run_dir):
        assert time.monotonic() < deadline
        assert run.poll() is None, run.communicate()
        time.sleep(0.5)
    (server,) = [
        child
        for child in psutil.Process(run.pid).children(recursive=True)
        if "vlm_uec.rollout.vllm.server" in child.cmdline()
    ]
    server.kill()
