"""Crash test: interrupts a two-rank run at seeded random moments, resumes it and compares the results.

    python benchmarks/robustness/crash.py --moments 30 --seed 1 --out runs/crash

Runs the tiny recipe, shortened, once without an interruption. For each moment the same run is interrupted in
one of five ways in turn (see lib/robustness/fault_injection.py) and resumed with resume=auto. The resumed run
must finish with the metrics (measured ones excepted), samples and exported weights of the uninterrupted run.
"lost" is retained - trained on - skipped - pending, in trajectories; "torn" counts faults in the run
directory after the interruption. "expected exits": SIGTERM ends a rank with 143, and a rank whose peer was
killed exits by itself, with a code other than 0.
Prints a table, writes crash.json (after every moment), and exits with 1 unless every run exits as expected,
finishes and is equal, with 0 lost and 0 torn. Run directories of failed moments are kept. Needs Linux, two
unshared CPU cores and about a minute per moment.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.launching import SHORT
from benchmarks.lib.machine import machine_info
from benchmarks.lib.robustness.crash_results import MomentResult, Resumed, results_table, summary
from benchmarks.lib.robustness.fault_injection import (
    INTERRUPTIONS,
    RANK_TIMEOUT_S,
    Timeline,
    draw_moment,
    interrupt,
)
from benchmarks.lib.robustness.run_checks import differences, lost_trajectories
from benchmarks.lib.robustness.watched_run import RUN_LIMIT_S, WatchedRun, current_phase
from vlm_uec.telemetry.writers import read_jsonl

SETTINGS = (
    *SHORT,
    f"guard.rank_timeout={RANK_TIMEOUT_S}",
    f"guard.start_timeout={RANK_TIMEOUT_S}",
    "optim.warmup_steps=2",
    "optim.decay=cosine",
    "train.eval_every=2",
    "evaluation.n=2",
    "evaluation.temperature=0.5",
)


def measure_timeline(run: WatchedRun, run_dir: Path, steps: int) -> Timeline:
    """Waits for the uninterrupted run; exits if it fails or never has trajectories in both buffers."""
    lines = [*(f"step {step}: rollout" for step in range(1, steps + 1)), f"step {steps}/{steps} "]
    times = [
        run.seconds_until(run.rank_pids),
        *(run.seconds_until(partial(run.has_printed, line)) for line in lines),
    ]
    end = run.seconds_until(partial(run.has_printed, "exported to "))
    marks = [(mark, at) for mark, at in zip(["", *lines], times, strict=True) if at is not None]
    if run.wait_for_end(RUN_LIMIT_S) != 0 or end is None:
        sys.exit("the uninterrupted run failed: see its log")
    rows = read_jsonl(run_dir / "metrics.jsonl")
    if lost_trajectories(rows) or not any(row["uec/pending"] and row["uec/replay_size"] for row in rows):
        sys.exit("the uninterrupted run loses trajectories, or its two buffers are never filled together")
    return Timeline(tuple(marks), end, median(row["time/checkpoint"] for row in rows), steps)


def wait_for_resumed(run: WatchedRun, run_dir: Path, reference: Path) -> Resumed:
    restart = run.seconds_until(
        lambda: current_phase(run.output) != "start" or run.has_printed("exported to ")
    )
    finished = run.wait_for_end(RUN_LIMIT_S) == 0
    rows = read_jsonl(run_dir / "metrics.jsonl")
    return Resumed(finished, restart, tuple(differences(reference, run_dir)), lost_trajectories(rows))


def prepare_data(out: Path) -> Path:
    """Writes the problems: three steps per epoch, so that the run also reaches the second epoch."""
    if out.exists():
        sys.exit(f"{out} exists: choose another --out, or remove it")
    (out / "logs").mkdir(parents=True)
    sizes = ["--train", "24", "--validation", "4", "--test", "4"]
    command = [sys.executable, "-m", "data_prep", "synthetic", "--out", str(out / "data"), *sizes]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out / "data"


class CrashTest:
    """The runs of one benchmark, one after the other, each in a separate folder under `out`."""

    def __init__(self, out: Path, seed: int, steps: int, overrides: Sequence[str]) -> None:
        self._out, self._seed = out, seed
        self._settings = [*SETTINGS, f"data.path={prepare_data(out)}", f"train.steps={steps}", *overrides]
        self._reference = out / "uninterrupted"
        run = self._start(self._reference, "uninterrupted")
        self.timeline = measure_timeline(run, self._reference, steps)
        self.results: list[MomentResult] = []

    def _start(self, run_dir: Path, log: str, *more: str) -> WatchedRun:
        settings = [*self._settings, f"train.run_dir={run_dir}", *more]
        return WatchedRun(settings, self._out / "logs" / f"{log}.txt")

    def test_moment(self, number: int) -> None:
        """Interrupts a run, resumes it, compares it and records the result."""
        interruption, name = INTERRUPTIONS[number % len(INTERRUPTIONS)], f"{number:02d}"
        run_dir = self._out / name
        moment = draw_moment(interruption, self.timeline, random.Random(f"{self._seed}/{number}"))
        run = self._start(run_dir, f"{name}-interrupted")
        interrupted = interrupt(run, interruption, moment, run_dir)
        resumed_run = self._start(run_dir, f"{name}-resumed", "resume=auto")
        resumed = wait_for_resumed(resumed_run, run_dir, self._reference)
        result = MomentResult(interruption.name, moment, interrupted, resumed)
        self.results.append(result)
        self._write()
        faults = "; ".join(result.faults) or "no fault"
        print(f"{name} {interruption.name}, {interrupted.phase}: {faults}", flush=True)
        if not result.faults:
            shutil.rmtree(run_dir)

    def _write(self) -> None:
        record = {
            "machine": machine_info(),
            "seed": self._seed,
            "settings": self._settings,
            "timeline": asdict(self.timeline),
            "results": [asdict(result) for result in self.results],
        }
        (self._out / "crash.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--moments", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("runs/crash"))
    parser.add_argument("overrides", nargs="*", metavar="dotted.key=value", help="passed to train.py")
    arguments = parser.parse_intermixed_args()
    crash_test = CrashTest(arguments.out.resolve(), arguments.seed, arguments.steps, arguments.overrides)
    for number in range(arguments.moments):
        crash_test.test_moment(number)
    print(results_table(crash_test.results), summary(crash_test.results, crash_test.timeline), sep="\n\n")
    return 1 if any(result.faults for result in crash_test.results) else 0


if __name__ == "__main__":
    sys.exit(main())
