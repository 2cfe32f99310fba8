"""Does a two-rank run survive being struck down? Strikes it at seeded random moments, resumes it, compares.

    python benchmarks/robustness/crash.py --moments 30 --seed 1 --out runs/crash

First the tiny recipe, shortened, uninterrupted; then, a moment each, the same run struck in one of five ways
in turn (see strikes.py), and resumed with resume=auto. The resumed run must finish with the metrics (measured
ones apart), samples and exported weights of the uninterrupted one; "lost" is retained - trained on - waiting,
in trajectories; "torn" counts faults of the folder that the strike left.
"As promised": SIGTERM ends a rank with 143, and a rank whose peer was killed ends by itself, not with 0.
Prints a table, writes crash.json (after every moment), and exits 1 unless all end as promised, finish and are
equal, with 0 lost and 0 torn. Folders of moments that failed are kept. Needs Linux, two CPU cores of its own
and about a minute a moment.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, the repository's root is not on the path

from benchmarks.lib.launching import SHORT
from benchmarks.lib.robustness.run_checks import differences, lost
from benchmarks.lib.robustness.strikes import KINDS, RANK_TIMEOUT_S, Moment, Struck, Timeline, draw, strike
from benchmarks.lib.robustness.watched_run import RUN_LIMIT_S, WatchedRun, phase
from benchmarks.speed.step import machine
from vlm_uec.telemetry.writers import read_jsonl

SETTINGS = (
    *SHORT,
    f"guard.rank_timeout={RANK_TIMEOUT_S}",
    f"guard.start_timeout={RANK_TIMEOUT_S}",
    "train.eval_every=2",
    "evaluation.n=2",
    "evaluation.temperature=0.5",
)


@dataclass(frozen=True)
class Resumed:
    """What resuming made of it."""

    finished: bool
    seconds_to_restart: float | None  # from the command to the first phase
    differences: tuple[str, ...]
    lost: float


@dataclass(frozen=True)
class Result:
    """One moment's."""

    kind: str
    moment: Moment
    struck: Struck
    resumed: Resumed

    @property
    def faults(self) -> list[str]:
        """Why the run did not survive this moment; empty where it did."""
        struck, resumed = self.struck, self.resumed
        return [
            *([] if struck.as_promised else [f"ranks ended with {struck.codes}"]),
            *struck.torn,
            *([] if resumed.finished else ["did not finish when resumed"]),
            *resumed.differences,
            *([f"{resumed.lost:g} trajectories lost"] if resumed.lost else []),
        ]


PHASES = ("start", "rollout", "update", "replay", "validation", "checkpoint", "metrics", "export", "over")
COLUMNS: Mapping[str, Callable[[Result], float]] = {
    "moments": lambda result: 1,
    **{name: partial(lambda name, result: result.struck.phase == name, name) for name in PHASES},
    "as promised": lambda result: result.struck.as_promised,
    "finished": lambda result: result.resumed.finished,
    "equal": lambda result: not result.resumed.differences,
    "lost": lambda result: abs(result.resumed.lost),
    "torn": lambda result: len(result.struck.torn),
}


def measure(run: WatchedRun, run_dir: Path, steps: int) -> Timeline:
    """Waits for the uninterrupted run; ends the benchmark where it fails or proves nothing."""
    told = [*(f"step {step}: rollout" for step in range(1, steps + 1)), f"step {steps}/{steps} "]
    times = [run.seconds_until(run.ranks), *(run.seconds_until(partial(run.says, mark)) for mark in told)]
    end = run.seconds_until(partial(run.says, "exported to "))
    marks = [(mark, at) for mark, at in zip(["", *told], times, strict=True) if at is not None]
    if run.end(RUN_LIMIT_S) != 0 or end is None:
        sys.exit("the uninterrupted run failed: see its log")
    rows = read_jsonl(run_dir / "metrics.jsonl")
    if lost(rows) or not any(row["uec/pending"] and row["uec/replay_size"] for row in rows):
        sys.exit("the uninterrupted run loses trajectories, or never has any waiting in both buffers")
    return Timeline(tuple(marks), end, median(row["time/checkpoint"] for row in rows), steps)


def resume(run: WatchedRun, run_dir: Path, whole: Path) -> Resumed:
    """Waits for the resumed run's end."""
    restart = run.seconds_until(lambda: phase(run.text) != "start" or run.says("exported to "))
    finished = run.end(RUN_LIMIT_S) == 0
    rows = read_jsonl(run_dir / "metrics.jsonl")
    return Resumed(finished, restart, tuple(differences(whole, run_dir)), lost(rows))


def table(results: Sequence[Result]) -> str:
    """A row a kind of strike, and their sum."""

    def row(name: str, part: Sequence[Result]) -> str:
        sums = {column: sum(map(count, part)) for column, count in COLUMNS.items()}
        return f"{name:22}" + "".join(f"{value:>{len(column) + 2}g}" for column, value in sums.items())

    rows = [row(kind.name, [result for result in results if result.kind == kind.name]) for kind in KINDS]
    head = " " * 22 + "".join(f"{column:>{len(column) + 2}}" for column in COLUMNS)
    return "\n".join([head, *rows, row("all", results)])


def summary(results: Sequence[Result], timeline: Timeline) -> str:
    restarts = [r.resumed.seconds_to_restart for r in results if r.resumed.seconds_to_restart is not None]
    half = sum(result.struck.half_written for result in results)
    return (
        f"{len(results)} moments, {sum(not result.faults for result in results)} sound; "
        f"{half} left a checkpoint half written beside the whole one\n"
        f"uninterrupted: {timeline.end:.1f} s, {timeline.marks[1][1]:.1f} s of it before the first step; "
        f"median restart, to the first phase: {median(restarts) if restarts else float('nan'):.1f} s"
    )


def prepare(out: Path) -> Path:
    """The problems: three steps an epoch, so that the run also crosses into the second."""
    if out.exists():
        sys.exit(f"{out} exists: choose another --out, or remove it")
    (out / "logs").mkdir(parents=True)
    sizes = ["--train", "24", "--validation", "4", "--test", "4"]
    command = [sys.executable, "-m", "data_prep", "synthetic", "--out", str(out / "data"), *sizes]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out / "data"


class Bench:
    """The runs of one benchmark, each in a folder of its own under `out`; one at a time."""

    def __init__(self, out: Path, seed: int, steps: int, overrides: Sequence[str]) -> None:
        self._out, self._seed = out, seed
        self._settings = [*SETTINGS, f"data.path={prepare(out)}", f"train.steps={steps}", *overrides]
        self.timeline = measure(self._start("whole", "whole"), out / "whole", steps)
        self.results: list[Result] = []

    def _start(self, folder: str, log: str, *more: str) -> WatchedRun:
        settings = [*self._settings, f"train.run_dir={self._out / folder}", *more]
        return WatchedRun(settings, self._out / "logs" / f"{log}.txt")

    def strike(self, number: int) -> None:
        """A run struck, resumed, compared and recorded."""
        kind, name = KINDS[number % len(KINDS)], f"{number:02d}"
        run_dir, whole = self._out / name, self._out / "whole"
        moment = draw(kind, self.timeline, random.Random(f"{self._seed}/{number}"))
        struck = strike(self._start(name, f"{name}-struck"), kind, moment, run_dir)
        resumed = resume(self._start(name, f"{name}-resumed", "resume=auto"), run_dir, whole)
        result = Result(kind.name, moment, struck, resumed)
        self.results.append(result)
        self._write()
        print(f"{name} {kind.name}, {struck.phase}: {'; '.join(result.faults) or 'sound'}", flush=True)
        if not result.faults:
            shutil.rmtree(run_dir)

    def _write(self) -> None:
        record = {
            "machine": machine(),
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
    bench = Bench(arguments.out.resolve(), arguments.seed, arguments.steps, arguments.overrides)
    for number in range(arguments.moments):
        bench.strike(number)
    print(table(bench.results), summary(bench.results, bench.timeline), sep="\n\n")
    return 1 if any(result.faults for result in bench.results) else 0


if __name__ == "__main__":
    sys.exit(main())
