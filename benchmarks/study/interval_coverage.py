"""Simulates how often the evaluator's 95 % intervals contain the true value.

    python benchmarks/study/interval_coverage.py

A population is POOL problems with solve probabilities from a mixture of Beta distributions. A second run has
a similar probability for each problem. Both runs have n = 16 responses: right, without an answer, or one of
five wrong answers. An evaluation draws problems from the population with replacement, so the population's
mean of a metric is the exact true value, and an interval must cover the choice of problems and the sampling
of responses. `+` marks the difference of the two runs on the same problems. In a cell in brackets, on
average fewer than ten problems have another value than the most common one: a sample with so few carries too
little information.
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
FEW = 10  # problems that differ from the others


@dataclass(frozen=True)
class Cell:
    coverage: float
    differing: float  # problems

    @property
    def text(self) -> str:
        percent = f"{100 * self.coverage:.1f}"
        return f"({percent})" if self.differing < FEW else percent


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    seed = parser.parse_args().seed
    started = time.monotonic()
    unbracketed: list[float] = []
    settings = f"{REPETITIONS} evaluations per cell (standard error 0.5), seed {seed}"
    print(f"coverage in % of 95 % intervals, {settings}")
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
            unbracketed += [cell.coverage for cell in cells if cell.differing >= FEW]
    within = sum(0.93 <= share <= 0.97 for share in unbracketed)
    extremes = f"{100 * min(unbracketed):.1f} to {100 * max(unbracketed):.1f}"
    print(f"\nwithout brackets: {extremes}, {within} of {len(unbracketed)} from 93 to 97")
    print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
