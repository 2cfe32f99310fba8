"""Pass@k without bias, and an interval over problems."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import comb

import numpy as np


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that k responses, drawn without replacement from n of which c are right, hold a right one.

    `1 - C(n-c, k) / C(n, k)` (Chen et al. 2021, arXiv 2107.03374, eq. 1), in exact integers and rounded once.
    Raises ValueError unless 1 <= k <= n and 0 <= c <= n.
    """
    return float(_exact(n, c, k))


def mean_pass_at_k(counts: Sequence[tuple[int, int]], k: int) -> float:
    """Mean of Pass@k over problems given as (n responses, c right). Raises ValueError for no problem."""
    if not counts:
        raise ValueError("Pass@k of no problem is undefined")
    return float(np.mean([pass_at_k(n, c, k) for n, c in counts]))


def bootstrap_interval(
    values: Sequence[float], seed: int, resamples: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean: one value a problem, problems drawn with replacement.

    Covers the choice of problems, not the sampling inside one. Raises ValueError for no values, no resamples
    or a level outside (0, 1).
    """
    if not len(values) or resamples < 1 or not 0 < level < 1:
        raise ValueError(f"{len(values)} values, {resamples} resamples, level {level}: no interval")
    table = np.asarray(values, dtype=np.float64)
    generator = np.random.default_rng(seed)
    means = [table[generator.integers(len(table), size=len(table))].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _exact(n: int, c: int, k: int) -> Fraction:
    if not (1 <= k <= n and 0 <= c <= n):
        raise ValueError(f"Pass@k needs 1 <= k <= n and 0 <= c <= n, not n={n}, c={c}, k={k}")
    return 1 - Fraction(comb(n - c, k), comb(n, k))
