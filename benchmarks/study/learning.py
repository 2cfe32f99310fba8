"""Does the tiny recipe learn? Trains it once per seed; compares accuracy in the first and the last fifth.

    python benchmarks/study/learning.py --seeds 1 2 3 --out runs/learning

Prints a table of reward/accuracy, writes learning.json beside the runs, and exits with 1 unless accuracy rose
for every seed. Each run goes through the DeepSpeed launcher: two CPU ranks, or every GPU of the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.launching import TINY_CONFIG
from benchmarks.lib.machine import machine_info
from benchmarks.lib.tiny_runs import launch_command, make_data, mean_of_fifths
from vlm_uec.telemetry.writers import read_jsonl


@dataclass(frozen=True)
class LearningRun:
    """Results of one seed's run."""

    seed: int
    steps: int
    first_fifth: float
    last_fifth: float
    entropy_first: float
    entropy_last: float
    rescued: float
    minutes: float


def train(seed: int, out: Path, data: Path, overrides: list[str]) -> LearningRun:
    """Trains from scratch with this seed; raises CalledProcessError if the run fails."""
    run_dir = out / f"seed_{seed}"
    shutil.rmtree(run_dir, ignore_errors=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if not torch.cuda.is_available():
        environment["DS_ACCELERATOR"] = "cpu"
    settings = [f"data.path={data}", f"train.seed={seed}", f"train.run_dir={run_dir}", *overrides]
    command = [*launch_command(), "train.py", "--config", TINY_CONFIG, *settings]
    subprocess.run(command, check=True, env=environment)
    return read_run(seed, run_dir)


def read_run(seed: int, run_dir: Path) -> LearningRun:
    rows = read_jsonl(run_dir / "metrics.jsonl")
    accuracy, entropy = mean_of_fifths(rows, "reward/accuracy"), mean_of_fifths(rows, "entropy/exact")
    return LearningRun(
        seed=seed,
        steps=len(rows),
        first_fifth=accuracy[0],
        last_fifth=accuracy[1],
        entropy_first=entropy[0],
        entropy_last=entropy[1],
        rescued=sum(row["uec/rescued_prompts"] for row in rows),
        minutes=sum(row["time/step"] for row in rows) / 60,
    )


def print_table(runs: list[LearningRun]) -> None:
    print(f"{'seed':>4} {'steps':>5} {'accuracy: first fifth':>22} {'last fifth':>10} {'rise':>7}", end="")
    print(f" {'entropy':>15} {'rescued':>8} {'minutes':>8}")
    for run in runs:
        rise = run.last_fifth - run.first_fifth
        entropy = f"{run.entropy_first:.3f} -> {run.entropy_last:.3f}"
        print(
            f"{run.seed:>4} {run.steps:>5} {run.first_fifth:>22.3f} {run.last_fifth:>10.3f} {rise:>+7.3f}",
            end="",
        )
        print(f" {entropy:>15} {run.rescued:>8.0f} {run.minutes:>8.1f}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--out", type=Path, default=Path("runs/learning"))
    parser.add_argument("overrides", nargs="*", metavar="dotted.key=value", help="passed to train.py")
    arguments = parser.parse_intermixed_args()
    data = arguments.out / "data"
    make_data(data)
    runs = [train(seed, arguments.out, data, arguments.overrides) for seed in arguments.seeds]
    print_table(runs)
    record = {
        "machine": machine_info(),
        "overrides": arguments.overrides,
        "runs": [asdict(run) for run in runs],
    }
    (arguments.out / "learning.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    rose = sum(run.last_fifth > run.first_fifth for run in runs)
    print(f"accuracy rose for {rose} of {len(runs)} seeds")
    return 0 if rose == len(runs) else 1


if __name__ == "__main__":
    sys.exit(main())
