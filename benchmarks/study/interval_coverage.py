"""How often the evaluator's 95 % intervals hold the truth.

    python benchmarks/study/interval_coverage.py

A population is POOL problems with solve probabilities from a mixture of Beta distributions, each with a
second run's probability near its own, and n = 16 responses of both runs: right, silent, or one of five wrong
answers. An evaluation draws problems from it with replacement, so the population's mean of a metric is the
exact truth, and an interval has to cover the choice of problems and the sampling of their responses. `+`
marks the difference of the two runs on the same problems. A cell in brackets has fewer than ten problems, on
average, whose value is not the most common one: too few for a sample to tell what it has not seen.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.interval_coverage import REPETITIONS, coverage, population
from benchmarks.lib.populations import POPULATIONS

SIZES = (200, 400, 601, 1000)  # problems; 601 are Geometry3K's test split, 1000 MathVista's testmini
FEW = 10  # problems that differ from the rest


@dataclass(frozen=True)
class Cell:
    covered: float
    differing: float  # problems

    @property
    def text(self) -> str:
        covered = f"{100 * self.covered:.1f}"
        return f"({covered})" if self.differing < FEW else covered


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    seed = parser.parse_args().seed
    started = time.monotonic()
    sound: list[float] = []
    print(
        f"coverage in % of 95 % intervals, {REPETITIONS} evaluations a cell (standard error 0.5), seed {seed}"
    )
    for name, draw in POPULATIONS.items():
        estimands = population(draw, seed)
        print(f"\n{name}: {draw.__doc__}")
        print(f"{'problems':>10}" + "".join(f"{estimand.name:>11}" for estimand in estimands))
        print(f"{'truth':>10}" + "".join(f"{100 * estimand.values.mean():>11.2f}" for estimand in estimands))
        for problems in SIZES:
            cells = [
                Cell(1 - sum(coverage(each, problems, seed)), each.differing(problems)) for each in estimands
            ]
            print(f"{problems:>10}" + "".join(f"{cell.text:>11}" for cell in cells), flush=True)
            sound += [cell.covered for cell in cells if cell.differing >= FEW]
    within = sum(0.93 <= covered <= 0.97 for covered in sound)
    extremes = f"{100 * min(sound):.1f} to {100 * max(sound):.1f}"
    print(f"\nwithout brackets: {extremes}, {within} of {len(sound)} from 93 to 97")
    print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
