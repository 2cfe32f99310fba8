"""Coverage of the evaluator's intervals, simulated on a population with a known mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmarks.lib.populations import Draw
from eval.estimators import Votes, maj_at_k, pass_at_k
from eval.intervals import Interval, bootstrap_intervals, paired_intervals

N = 16  # responses per problem
POOL = 50_000
REPETITIONS = 2000
BATCH = 1000  # repetitions at a time
UNANSWERED = 0.1  # share without an answer, among the responses that are not right
DISTRACTORS = np.array([0.45, 0.25, 0.15, 0.1, 0.05])  # share of each wrong answer


@dataclass(frozen=True)
class Estimand:
    """The metric of each problem in the population, and the function that estimates its mean's interval."""

    name: str
    values: np.ndarray  # [POOL]
    intervals: Callable[[np.ndarray, int], list[Interval]]

    def differing(self, problems: int) -> float:
        """Expected number, among so many problems, whose value is not the most common one."""
        _, counts = np.unique(self.values, return_counts=True)
        return problems * (1 - counts.max() / len(self.values))


def population(draw: Draw, seed: int, pool: int = POOL) -> list[Estimand]:
    """Pass@k and maj@k of a first run, and the differences of a second run."""
    generator = np.random.default_rng(seed)
    probabilities = draw(generator, pool)
    second = _second_run(generator, probabilities)
    runs = [_metrics(generator, each) for each in (probabilities, second)]
    first = [Estimand(name, values, bootstrap_intervals) for name, values in runs[0].items()]
    differences = [Estimand(f"+{name}", runs[1][name] - runs[0][name], paired_intervals) for name in runs[0]]
    return first + differences


def coverage(
    estimand: Estimand, problems: int, seed: int, repetitions: int = REPETITIONS
) -> tuple[float, float]:
    """Shares of evaluations with an interval below and above the true value."""
    generator = np.random.default_rng(seed)
    truth = estimand.values.mean()
    below = above = 0
    for start in range(0, repetitions, BATCH):
        table = generator.choice(estimand.values, (problems, min(BATCH, repetitions - start)))
        intervals = np.array(estimand.intervals(table, seed + start))
        below += int((intervals[:, 1] < truth).sum())
        above += int((intervals[:, 0] > truth).sum())
    return below / repetitions, above / repetitions


def _second_run(generator: np.random.Generator, probabilities: np.ndarray) -> np.ndarray:
    """Odds multiplied by a random factor of about 1.35; 1 in 20 unsolvable problems becomes solvable."""
    factor = np.exp(generator.normal(0.3, 0.5, len(probabilities)))
    better = probabilities * factor / (1 + probabilities * (factor - 1))
    is_new = (probabilities == 0) & (generator.random(len(probabilities)) < 0.05)
    return np.where(is_new, generator.beta(1, 3, len(probabilities)), better)


def _metrics(generator: np.random.Generator, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    wrong_share = (1 - np.minimum(probabilities, 1))[:, None]
    shares = np.hstack(
        [probabilities[:, None], UNANSWERED * wrong_share, (1 - UNANSWERED) * wrong_share * DISTRACTORS]
    )
    counts = generator.multinomial(N, shares / shares.sum(axis=1, keepdims=True))
    pass_at = {
        f"pass@{k}": np.array([pass_at_k(N, c, k) for c in range(N + 1)])[counts[:, 0]] for k in (1, 4, 16)
    }
    cached_maj_at_k = cache(maj_at_k)
    votes = [
        Votes(right, tuple(sorted(filter(None, wrong))), unanswered)
        for right, unanswered, *wrong in counts.tolist()
    ]
    return pass_at | {f"maj@{k}": np.array([cached_maj_at_k(each, k) for each in votes]) for k in (4, 16)}
