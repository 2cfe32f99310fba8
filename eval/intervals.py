"""95 % bootstrap intervals over problems, for means of one run and for differences of two runs."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

_NORMAL = NormalDist()
_CHUNK = 1 << 22  # problems x resamples per chunk: 32 MiB per table

Interval = tuple[float, float]


def bootstrap_interval(
    values: Sequence[float], seed: int, resamples: int = 2000, level: float = 0.95
) -> Interval:
    """`bootstrap_intervals` of one column."""
    return bootstrap_intervals(np.reshape(values, (-1, 1)), seed, resamples, level)[0]


def paired_interval(
    differences: Sequence[float], seed: int, resamples: int = 2000, level: float = 0.95
) -> Interval:
    """`paired_intervals` of one column."""
    return paired_intervals(np.reshape(differences, (-1, 1)), seed, resamples, level)[0]


def bootstrap_intervals(
    table: np.ndarray, seed: int, resamples: int = 2000, level: float = 0.95
) -> list[Interval]:
    """An interval for the mean of each column of `table` [problems, metrics], values in [0, 1].

    Problems are drawn with replacement, the same draws for all columns. This covers the choice of problems
    and, because each problem has its own responses, the sampling. Intervals are BCa: plain percentiles are
    too low for a skewed mean, such as with few solved problems. A column of equal values has no spread; its
    interval allows for an unobserved share of problems at 0 or 1. According to
    benchmarks/study/interval_coverage.py, coverage needs about ten problems whose value differs from the most
    common one.

    Raises ValueError for no values, values out of range, no resamples or a level outside (0, 0.999].
    """
    _check(table, 0.0, resamples, level)
    means = _resampled_means(table, seed, resamples)
    return [
        _bca(values, resampled, level) if np.ptp(values) else _constant_interval(values, 0.0, level)
        for values, resampled in zip(table.T, means.T, strict=True)
    ]


def paired_intervals(
    table: np.ndarray, seed: int, resamples: int = 2000, level: float = 0.95
) -> list[Interval]:
    """An interval for the mean of each column of `table` [problems, metrics]: differences in [-1, 1].

    A drawn problem counts for both runs, so the shared difficulty of a problem cancels. Symmetric bootstrap-t
    (Hall 1988, J. R. Stat. Soc. B 50): most differences are small or 0 and a few are large on either side.
    BCa would treat this as skewness, with too low coverage. Everything else as in `bootstrap_intervals`.
    """
    _check(table, -1.0, resamples, level)
    centred = table - table.mean(axis=0)
    moments = _resampled_means(np.hstack([centred, centred**2]), seed, resamples)
    means, squares = np.hsplit(moments, 2)
    return [
        _symmetric(values, shift, square - shift**2, level)
        if np.ptp(values)
        else _constant_interval(values, -1.0, level)
        for values, shift, square in zip(table.T, means.T, squares.T, strict=True)
    ]


def _check(table: np.ndarray, minimum: float, resamples: int, level: float) -> None:
    if not table.size or resamples < 1 or not 0 < level <= 0.999:
        raise ValueError(f"{len(table)} values, {resamples} resamples, level {level}: no interval")
    if not ((table >= minimum) & (table <= 1)).all():
        raise ValueError(f"no interval: a value is not within [{minimum:g}, 1]")


def _resampled_means(table: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    """Means of the resamples, [resamples, columns]; drawn in chunks to bound memory."""
    generator = np.random.default_rng(seed)
    problems = len(table)
    rows = max(1, _CHUNK // problems)
    means = []
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        draws = generator.integers(problems, size=(count, problems)) + problems * np.arange(count)[:, None]
        counts = np.bincount(draws.ravel(), minlength=count * problems).reshape(count, problems)
        means.append(counts.astype(np.float64) @ table / problems)
    return np.concatenate(means)


def _bca(values: np.ndarray, resampled: np.ndarray, level: float) -> Interval:
    """Quantiles of the resampled means at levels corrected for skewness.

    Efron and Tibshirani 1993, An Introduction to the Bootstrap, eq. 14.9 and 14.10, acceleration by 14.15. A
    mean is linear in its values, which makes the bias correction equal to the acceleration (ibid., ch. 22,
    ABC).
    """
    spread = values - values.mean()
    skew = float((spread**3).sum() / (6 * (spread**2).sum() ** 1.5))
    ends = [_NORMAL.inv_cdf((1 - level) / 2), _NORMAL.inv_cdf((1 + level) / 2)]
    levels = [_NORMAL.cdf(skew + (skew + end) / (1 - skew * (skew + end))) for end in ends]
    low, high = np.quantile(resampled, levels)
    return float(low), float(high)


def _symmetric(values: np.ndarray, shifts: np.ndarray, variances: np.ndarray, level: float) -> Interval:
    """Symmetric bootstrap-t interval, from the studentised deviations of the resampled means."""
    variance = values.var()
    # A resample with equal values only gets the variance of the sample.
    spreads = np.sqrt(np.where(variances > variance * 1e-9, variances, variance))
    margin = float(np.quantile(np.abs(shifts) / spreads, level) * np.sqrt(variance))
    mean = float(values.mean())
    return max(mean - margin, -1.0), min(mean + margin, 1.0)


def _constant_interval(values: np.ndarray, minimum: float, level: float) -> Interval:
    """Interval around the value that all problems have.

    A share s of problems with other values is not observed with probability (1 - s)^problems. For a value of
    0 or 1 this is the interval of Clopper and Pearson 1934 (Biometrika 26) for an event that never occurs.
    """
    value = float(values[0])
    share = 1 - ((1 - level) / 2) ** (1 / len(values))
    return value - share * (value - minimum), value + share * (1 - value)
