"""Coverage of the evaluator's intervals, simulated on a population with a known mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmarks.lib.populations import Draw
from eval.estimators import Votes, maj_at_k, pass_at_k
from eval.intervals import Interval, bootstrap_intervals, paired_intervals

N = 16  # responses a problem
POOL = 50_000
REPETITIONS = 2000
BATCH = 1000  # repetitions at a time
SILENT = 0.1  # share of the responses that are not right
DISTRACTORS = np.array([0.45, 0.25, 0.15, 0.1, 0.05])  # share of each wrong answer among those that are given


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
