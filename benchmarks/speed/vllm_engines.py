"""The native engine and vLLM train the same tiny recipe: do the rewards differ by more than seeds do?

    make .venv-vllm/.installed
    python -m benchmarks.speed.vllm_engines --python .venv-vllm/bin/python --seeds 1 2 3 --out runs/vllm

Trains each seed with each engine through the DeepSpeed launcher (two CPU ranks, or every GPU there is),
prints rewards side by side and writes engines.json beside the runs. Random numbers are the engines' own, so
the same seed is another draw: exits 1 where the mean rewards of the last fifth lie further apart than twice
the standard error of their difference.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, variance

import torch

from benchmarks.lib.wide_model import BUNDLE, widen
from benchmarks.study.learning import CONFIG, fifths, launcher
from vlm_uec.telemetry.writers import read_jsonl

ENGINES = ("native", "vllm")
# What vLLM needs on a small CPU: one core, no compilation, and a cache of known size.
CPU_ENVIRONMENT = {
    "VLLM_CPU_OMP_THREADS_BIND": "0",
    "TORCHDYNAMO_DISABLE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}
CPU_OPTIONS = {"enforce_eager": True, "kv_cache_memory_bytes": 256 << 20, "block_size": 32}


@dataclass(frozen=True)
class Outcome:
    """One run: means over the first and the last fifth of its steps."""

    engine: str
    seed: int
    steps: int
    first_fifth: float
    last_fifth: float
    entropy_last: float
    mismatch_mean: float  # over all steps; of native 0
    mismatch_max: float
    seconds_a_step: float


def train(engine: str, seed: int, data: Path, model: Path, arguments: argparse.Namespace) -> Outcome:
    """Trains from scratch; raises CalledProcessError where the run fails."""
    run_dir = arguments.out / f"{engine}_{seed}"
    shutil.rmtree(run_dir, ignore_errors=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    settings = [f"model.path={model}", f"data.path={data}", f"train.seed={seed}", f"train.run_dir={run_dir}"]
    settings += [f"rollout.engine={engine}", f"vllm.python={arguments.python}"]
    if not torch.cuda.is_available():
        environment = {**CPU_ENVIRONMENT, **environment, "DS_ACCELERATOR": "cpu"}
        settings.append(f"vllm.options={json.dumps(CPU_OPTIONS)}")
    command = [*launcher(), "train.py", "--config", CONFIG, *settings, *arguments.overrides]
    subprocess.run(command, check=True, env=environment)
    return summarise(engine, seed, run_dir)


def summarise(engine: str, seed: int, run_dir: Path) -> Outcome:
    rows = read_jsonl(run_dir / "metrics.jsonl")
    first, last = fifths(rows, "reward/accuracy")
    return Outcome(
        engine=engine,
        seed=seed,
        steps=len(rows),
        first_fifth=first,
        last_fifth=last,
        entropy_last=fifths(rows, "entropy/exact")[1],
        mismatch_mean=fmean(row.get("sampler/mismatch_mean", 0.0) for row in rows),
        mismatch_max=max(row.get("sampler/mismatch_max", 0.0) for row in rows),
        seconds_a_step=fmean(row["time/step"] for row in rows),
    )


def print_table(outcomes: list[Outcome]) -> None:
    print(f"{'engine':<7} {'seed':>4} {'steps':>5} {'accuracy: first fifth':>22} {'last fifth':>10}", end="")
    print(f" {'entropy':>8} {'mismatch: mean':>15} {'max':>8} {'s a step':>9}")
    for row in outcomes:
        print(
            f"{row.engine:<7} {row.seed:>4} {row.steps:>5} {row.first_fifth:>22.3f} {row.last_fifth:>10.3f}"
            f" {row.entropy_last:>8.3f} {row.mismatch_mean:>15.2g} {row.mismatch_max:>8.2g}"
            f" {row.seconds_a_step:>9.2f}"
        )


def difference(outcomes: list[Outcome]) -> tuple[float, float]:
    """vLLM's mean last-fifth accuracy less the native engine's, and its standard error (Welch's)."""
    last = {name: [row.last_fifth for row in outcomes if row.engine == name] for name in ENGINES}
    gap = fmean(last["vllm"]) - fmean(last["native"])
    return gap, math.sqrt(sum(variance(values) / len(values) for values in last.values()))


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--python", type=Path, default=Path(".venv-vllm/bin/python"), help="one that has vLLM"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--out", type=Path, default=Path("runs/vllm-engines"))
    parser.add_argument("overrides", nargs="*", metavar="dotted.key=value", help="passed to train.py")
    parsed = parser.parse_intermixed_args(arguments)
    if len(set(parsed.seeds)) < 2:
        parser.error(
            "--seeds needs two seeds or more: how far apart they lie is what the engines are held to"
        )
    parsed.python = parsed.python.absolute()
    return parsed


def main() -> int:
    arguments = parse_arguments()
    data, model = arguments.out / "data", widen(BUNDLE, arguments.out / "model")
    sizes = ["--train", "512", "--validation", "64", "--test", "128", "--levels", "1", "2", "3"]
    command = [sys.executable, "-m", "data_prep", "synthetic", "--out", str(data), "--seed", "1", *sizes]
    subprocess.run(command, check=True)
    outcomes = [train(engine, seed, data, model, arguments) for seed in arguments.seeds for engine in ENGINES]
    print_table(outcomes)
    record = {"overrides": arguments.overrides, "runs": [asdict(row) for row in outcomes]}
    (arguments.out / "engines.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    gap, error = difference(outcomes)
    print(f"accuracy of the last fifth, vllm less native: {gap:+.3f}, standard error {error:.3f}")
    return 1 if abs(gap) > 2 * error else 0


if __name__ == "__main__":
    sys.exit(main())
