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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, the repository's root is not on the path

from eval.estimators import Votes, maj_at_k, pass_at_k
from eval.intervals import Interval, bootstrap_intervals, paired_intervals

N = 16  # responses a problem
SIZES = (200, 400, 601, 1000)  # problems; 601 are Geometry3K's test split, 1000 MathVista's testmini
POOL = 50_000
REPETITIONS = 2000
BATCH = 1000  # repetitions at a time
FEW = 10  # problems that differ from the rest
SILENT = 0.1  # share of the responses that are not right
DISTRACTORS = np.array([0.45, 0.25, 0.15, 0.1, 0.05])  # share of each wrong answer among those that are given

Draw = Callable[[np.random.Generator, int], np.ndarray]  # (generator, problems) -> solve probabilities


@dataclass(frozen=True)
class Estimand:
    """One value a problem of the population, and what makes an interval of some of them."""

    name: str
    values: np.ndarray  # [POOL]
    intervals: Callable[[np.ndarray, int], list[Interval]]

    def differing(self, problems: int) -> float:
        """Of so many problems, how many have another value than the most common one, on average."""
        _, counts = np.unique(self.values, return_counts=True)
        return problems * (1 - counts.max() / len(self.values))


@dataclass(frozen=True)
class Cell:
    covered: float
    differing: float  # problems

    @property
    def text(self) -> str:
        covered = f"{100 * self.covered:.1f}"
        return f"({covered})" if self.differing < FEW else covered


def mixed(generator: np.random.Generator, size: int) -> np.ndarray:
    """3 in 10 out of reach, 2 in 10 mastered, the others anywhere between."""
    kind = generator.choice(3, size, p=[0.3, 0.5, 0.2])
    return np.choose(kind, [np.zeros(size), generator.beta(1, 1, size), generator.beta(20, 1, size)])


def hard(generator: np.random.Generator, size: int) -> np.ndarray:
    """7 in 10 out of reach."""
    return np.where(generator.random(size) < 0.7, 0.0, generator.beta(0.5, 2, size))


def hopeless(generator: np.random.Generator, size: int) -> np.ndarray:
    """9 in 10 out of reach, the others hard."""
    return np.where(generator.random(size) < 0.9, 0.0, generator.beta(1, 3, size))


def slight(generator: np.random.Generator, size: int) -> np.ndarray:
    """All near 1 %."""
    return generator.beta(1, 99, size)


def even(generator: np.random.Generator, size: int) -> np.ndarray:
    """All near one half."""
    return generator.beta(8, 8, size)


def easy(generator: np.random.Generator, size: int) -> np.ndarray:
    """9 in 10 mastered."""
    return np.where(generator.random(size) < 0.9, 1.0, generator.beta(1, 1, size))


POPULATIONS: Mapping[str, Draw] = {
    draw.__name__: draw for draw in (mixed, hard, hopeless, slight, even, easy)
}


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


def population(draw: Draw, seed: int, pool: int = POOL) -> list[Estimand]:
    """Pass@k and maj@k of a first run, and what a second run adds."""
    generator = np.random.default_rng(seed)
    chances = draw(generator, pool)
    runs = [_metrics(generator, each) for each in (chances, _trained(generator, chances))]
    alone = [Estimand(name, values, bootstrap_intervals) for name, values in runs[0].items()]
    added = [Estimand(f"+{name}", runs[1][name] - runs[0][name], paired_intervals) for name in runs[0]]
    return alone + added


def coverage(
    estimand: Estimand, problems: int, seed: int, repetitions: int = REPETITIONS
) -> tuple[float, float]:
    """Share of evaluations of so many problems whose interval ends below the truth, and begins above it."""
    generator = np.random.default_rng(seed)
    truth = estimand.values.mean()
    below = above = 0
    for start in range(0, repetitions, BATCH):
        table = generator.choice(estimand.values, (problems, min(BATCH, repetitions - start)))
        intervals = np.array(estimand.intervals(table, seed + start))
        below += int((intervals[:, 1] < truth).sum())
        above += int((intervals[:, 0] > truth).sum())
    return below / repetitions, above / repetitions


def _trained(generator: np.random.Generator, chances: np.ndarray) -> np.ndarray:
    """Odds multiplied by about 1.35, more on one problem and less on another; 1 in 20 comes into reach."""
    factor = np.exp(generator.normal(0.3, 0.5, len(chances)))
    better = chances * factor / (1 + chances * (factor - 1))
    found = (chances == 0) & (generator.random(len(chances)) < 0.05)
    return np.where(found, generator.beta(1, 3, len(chances)), better)


def _metrics(generator: np.random.Generator, chances: np.ndarray) -> dict[str, np.ndarray]:
    missed = (1 - np.minimum(chances, 1))[:, None]
    shares = np.hstack([chances[:, None], SILENT * missed, (1 - SILENT) * missed * DISTRACTORS])
    counts = generator.multinomial(N, shares / shares.sum(axis=1, keepdims=True))
    found = {
        f"pass@{k}": np.array([pass_at_k(N, c, k) for c in range(N + 1)])[counts[:, 0]] for k in (1, 4, 16)
    }
    voted = cache(maj_at_k)
    votes = [
        Votes(right, tuple(sorted(filter(None, wrong))), silent) for right, silent, *wrong in counts.tolist()
    ]
    return found | {f"maj@{k}": np.array([voted(each, k) for each in votes]) for k in (4, 16)}


if __name__ == "__main__":
    main()
