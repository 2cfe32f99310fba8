"""Trains the tiny recipe with the native engine and with vLLM: do rewards differ by more than between seeds?

    make .venv-vllm/.installed
    python -m benchmarks.speed.vllm_engines --python .venv-vllm/bin/python --seeds 1 2 3 --out runs/vllm

Trains each seed with each engine through the DeepSpeed launcher (two CPU ranks, or every GPU of the machine),
prints the rewards side by side and writes engines.json beside the runs. Each engine has its own random
numbers, so a seed gives different samples with each. Exits with 1 if the mean rewards of the last fifth
differ by more than twice the standard error of their difference.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

import torch

from benchmarks.lib.launching import TINY_CONFIG
from benchmarks.lib.speed.engine_comparison import ENGINES, EngineRun, accuracy_gap, parse_arguments
from benchmarks.lib.tiny_runs import launch_command, make_data, mean_of_fifths
from benchmarks.lib.vllm_cpu import CPU_ENVIRONMENT, CPU_OPTIONS
from benchmarks.lib.wide_model import BUNDLE, widen
from vlm_uec.telemetry.writers import read_jsonl


def train(engine: str, seed: int, data: Path, model: Path, arguments: argparse.Namespace) -> EngineRun:
    """Trains from scratch; raises CalledProcessError if the run fails."""
    run_dir = arguments.out / f"{engine}_{seed}"
    shutil.rmtree(run_dir, ignore_errors=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    settings = [f"model.path={model}", f"data.path={data}", f"train.seed={seed}", f"train.run_dir={run_dir}"]
    settings += [f"rollout.engine={engine}", f"vllm.python={arguments.python}"]
    if not torch.cuda.is_available():
        environment = {**CPU_ENVIRONMENT, **environment, "DS_ACCELERATOR": "cpu"}
        settings.append(f"vllm.options={json.dumps(CPU_OPTIONS)}")
    command = [*launch_command(), "train.py", "--config", TINY_CONFIG, *settings, *arguments.overrides]
    subprocess.run(command, check=True, env=environment)
    return read_run(engine, seed, run_dir)


def read_run(engine: str, seed: int, run_dir: Path) -> EngineRun:
    rows = read_jsonl(run_dir / "metrics.jsonl")
    first, last = mean_of_fifths(rows, "reward/accuracy")
    return EngineRun(
        engine=engine,
        seed=seed,
        steps=len(rows),
        first_fifth=first,
        last_fifth=last,
        entropy_last=mean_of_fifths(rows, "entropy/exact")[1],
        mismatch_mean=fmean(row.get("sampler/mismatch_mean", 0.0) for row in rows),
        mismatch_max=max(row.get("sampler/mismatch_max", 0.0) for row in rows),
        seconds_a_step=fmean(row["time/step"] for row in rows),
    )


def print_table(runs: list[EngineRun]) -> None:
    print(f"{'engine':<7} {'seed':>4} {'steps':>5} {'accuracy: first fifth':>22} {'last fifth':>10}", end="")
    print(f" {'entropy':>8} {'mismatch: mean':>15} {'max':>8} {'s/step':>9}")
    for run in runs:
        print(
            f"{run.engine:<7} {run.seed:>4} {run.steps:>5} {run.first_fifth:>22.3f} {run.last_fifth:>10.3f}"
            f" {run.entropy_last:>8.3f} {run.mismatch_mean:>15.2g} {run.mismatch_max:>8.2g}"
            f" {run.seconds_a_step:>9.2f}"
        )


def main() -> int:
    arguments = parse_arguments(__doc__)
    data, model = arguments.out / "data", widen(BUNDLE, arguments.out / "model")
    make_data(data)
    runs = [train(engine, seed, data, model, arguments) for seed in arguments.seeds for engine in ENGINES]
    print_table(runs)
    record = {"overrides": arguments.overrides, "runs": [asdict(run) for run in runs]}
    (arguments.out / "engines.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    gap, error = accuracy_gap(runs)
    print(f"accuracy of the last fifth, vllm minus native: {gap:+.3f}, standard error {error:.3f}")
    return 1 if abs(gap) > 2 * error else 0


if __name__ == "__main__":
    sys.exit(main())
