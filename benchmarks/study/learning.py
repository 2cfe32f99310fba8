"""Does the tiny recipe learn? Trains it once a seed and compares reward/accuracy, first fifth with last.

    python benchmarks/study/learning.py --seeds 1 2 3 --out runs/learning

Prints a table, writes learning.json beside the runs, and exits 1 unless every seed rose. Each run goes
through the DeepSpeed launcher: two CPU ranks, or every GPU there is.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import torch

from vlm_uec.telemetry.writers import read_jsonl

CONFIG = "configs/tiny_cpu.yaml"
MODEL = "assets/tiny-qwen2.5-vl"


@dataclass(frozen=True)
class Outcome:
    """One seed's run."""

    seed: int
    steps: int
    first_fifth: float
    last_fifth: float
    entropy_first: float
    entropy_last: float
    rescued: float
    minutes: float


def launcher() -> list[str]:
    deepspeed = str(Path(sys.executable).with_name("deepspeed"))
    ranks = [] if torch.cuda.is_available() else ["--num_accelerators", "2"]
    return [deepspeed, "--log_level", "error", *ranks]


def train(seed: int, out: Path, data: Path, overrides: list[str]) -> Outcome:
    """Trains from scratch with this seed; raises CalledProcessError when the run fails."""
    run_dir = out / f"seed_{seed}"
    shutil.rmtree(run_dir, ignore_errors=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if not torch.cuda.is_available():
        environment["DS_ACCELERATOR"] = "cpu"
    settings = [f"data.path={data}", f"train.seed={seed}", f"train.run_dir={run_dir}", *overrides]
    subprocess.run([*launcher(), "train.py", "--config", CONFIG, *settings], check=True, env=environment)
    return summarise(seed, run_dir)


def fifths(rows: Sequence[Mapping[str, float]], name: str) -> tuple[float, float]:
    """Means of a metric over the first and over the last fifth of the steps."""
    size = max(1, len(rows) // 5)
    return fmean(row[name] for row in rows[:size]), fmean(row[name] for row in rows[-size:])


def summarise(seed: int, run_dir: Path) -> Outcome:
    rows = read_jsonl(run_dir / "metrics.jsonl")
    accuracy, entropy = fifths(rows, "reward/accuracy"), fifths(rows, "entropy/exact")
    return Outcome(
        seed=seed,
        steps=len(rows),
        first_fifth=accuracy[0],
        last_fifth=accuracy[1],
        entropy_first=entropy[0],
        entropy_last=entropy[1],
        rescued=sum(row["uec/rescued_prompts"] for row in rows),
        minutes=sum(row["time/step"] for row in rows) / 60,
    )


def print_table(outcomes: list[Outcome]) -> None:
    print(f"{'seed':>4} {'steps':>5} {'accuracy: first fifth':>22} {'last fifth':>10} {'rise':>7}", end="")
    print(f" {'entropy':>15} {'rescued':>8} {'minutes':>8}")
    for row in outcomes:
        rise = row.last_fifth - row.first_fifth
        entropy = f"{row.entropy_first:.3f} -> {row.entropy_last:.3f}"
        print(
            f"{row.seed:>4} {row.steps:>5} {row.first_fifth:>22.3f} {row.last_fifth:>10.3f} {rise:>+7.3f}",
            end="",
        )
        print(f" {entropy:>15} {row.rescued:>8.0f} {row.minutes:>8.1f}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--out", type=Path, default=Path("runs/learning"))
    parser.add_argument("overrides", nargs="*", metavar="dotted.key=value", help="passed to train.py")
    arguments = parser.parse_intermixed_args()
    data = arguments.out / "data"
    sizes = ["--train", "512", "--validation", "64", "--test", "128", "--levels", "1", "2", "3"]
    command = [sys.executable, "-m", "data_prep", "synthetic", "--out", str(data), "--seed", "1", *sizes]
    subprocess.run(command, check=True)
    outcomes = [train(seed, arguments.out, data, arguments.overrides) for seed in arguments.seeds]
    print_table(outcomes)
    machine = {
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "torch": torch.__version__,
    }
    record = {"machine": machine, "overrides": arguments.overrides, "runs": [asdict(row) for row in outcomes]}
    (arguments.out / "learning.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    rose = sum(row.last_fifth > row.first_fifth for row in outcomes)
    print(f"accuracy rose for {rose} of {len(outcomes)} seeds")
    return 0 if rose == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
