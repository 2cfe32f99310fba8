"""Does the demo's recipe learn? Trains it once per seed; Pass@k of the held-out problems before and after.

    python benchmarks/study/learning.py --seeds 1 2 3 --out runs/learning

Prints reward/accuracy in the first and the last fifth of the steps, and Pass@k of the 128 test problems
with paired 95 % intervals. Writes learning.json beside the runs. Exits with 1 unless, for every seed, the
interval of Pass@1 is above 0 and Pass@8 did not fall. Each run goes through the DeepSpeed launcher: two CPU
ranks, or every GPU of the machine.
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

from assets.make_tiny_model import BUNDLE
from benchmarks.lib.launching import TINY_CONFIG
from benchmarks.lib.machine import machine_info
from benchmarks.lib.tiny_runs import evaluate, launch_command, make_data, mean_of_fifths
from eval.compare import Comparison, Difference, compare
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

    @property
    def rise(self) -> float:
        return self.last_fifth - self.first_fifth


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
        entropy = f"{run.entropy_first:.3f} -> {run.entropy_last:.3f}"
        accuracy = f"{run.first_fifth:>22.3f} {run.last_fifth:>10.3f} {run.rise:>+7.3f}"
        last_columns = f"{run.rescued:>8.0f} {run.minutes:>8.1f}"
        print(f"{run.seed:>4} {run.steps:>5} {accuracy} {entropy:>15} {last_columns}")


def print_gains(seeds: list[int], comparison: Comparison) -> None:
    print(f"\nPass@k of {comparison.problems} held-out problems, %")
    print(f"{'seed':>4} {'':>7} {'before':>7} {'after':>7} {'difference':>11}   95 % interval")
    for seed, pair in zip(seeds, comparison.pairs, strict=True):
        for row in pair.differences:
            low, high = row.interval
            values = f"{100 * row.baseline:>7.2f} {100 * row.other:>7.2f} {100 * row.value:>+11.2f}"
            print(f"{seed:>4} {f'pass@{row.k}':>7} {values}   {100 * low:+.2f} to {100 * high:+.2f}")


def has_gained(differences: tuple[Difference, ...]) -> bool:
    """Whether the first k's interval is above 0 and the last k did not fall."""
    return differences[0].interval[0] > 0 and differences[-1].value >= 0


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
    before = arguments.out / "before"
    evaluate(BUNDLE, data, before)
    runs, after = [], []
    for seed in arguments.seeds:
        runs.append(train(seed, arguments.out, data, arguments.overrides))
        after.append(arguments.out / f"after_{seed}")
        evaluate(arguments.out / f"seed_{seed}" / "export", data, after[-1])
    comparison = compare([before, *after], seed=0)
    print_table(runs)
    print_gains(arguments.seeds, comparison)
    record = {
        "machine": machine_info(),
        "overrides": arguments.overrides,
        "runs": [asdict(run) for run in runs],
        "held_out": [asdict(pair) for pair in comparison.pairs],
    }
    (arguments.out / "learning.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    gained = sum(has_gained(pair.differences) for pair in comparison.pairs)
    print(f"{gained} of {len(runs)} seeds gained")
    return 0 if gained == len(runs) else 1


if __name__ == "__main__":
    sys.exit(main())
