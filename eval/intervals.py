"""95 % intervals over problems: of one run's means, and of the difference of two runs."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

_NORMAL = NormalDist()
_CHUNK = 1 << 22  # problems x resamples drawn at a time: 32 MiB a table

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

    Problems are drawn with replacement, the same for all columns. That covers the choice of problems and, as
    each brings its own responses, the sampling. The ends are BCa's: plain percentiles of a skewed mean, such
    as that of few solved problems, end too low. A column of equal values shows no spread; its interval allows
    for the share of problems at 0 or 1 that could have gone unseen. As measured by
    benchmarks/study/interval_coverage.py, it takes some ten problems whose value is not the most common one.
    Raises ValueError for no values, values out of range, no resamples or a level outside (0, 0.999].
    """
    _check(table, 0.0, resamples, level)
    means = _resampled_means(table, seed, resamples)
    return [
        _bca(values, resampled, level) if np.ptp(values) else _unseen(values, 0.0, level)
        for values, resampled in zip(table.T, means.T, strict=True)
    ]


def paired_intervals(
    table: np.ndarray, seed: int, resamples: int = 2000, level: float = 0.95
) -> list[Interval]:
    """An interval for the mean of each column of `table` [problems, metrics]: differences in [-1, 1].

    A drawn problem counts for both runs, so what makes it hard for both cancels. Symmetric bootstrap-t (Hall
    1988, J. R. Stat. Soc. B 50): most differences are small or 0 and few are large on either side, which BCa
    takes for skewness and then covers too little. Everything else as for `bootstrap_intervals`.
    """
    _check(table, -1.0, resamples, level)
    centred = table - table.mean(axis=0)
    moments = _resampled_means(np.hstack([centred, centred**2]), seed, resamples)
    means, squares = np.hsplit(moments, 2)
    return [
        _symmetric(values, shift, square - shift**2, level)
        if np.ptp(values)
        else _unseen(values, -1.0, level)
        for values, shift, square in zip(table.T, means.T, squares.T, strict=True)
    ]


def _check(table: np.ndarray, least: float, resamples: int, level: float) -> None:
    if not table.size or resamples < 1 or not 0 < level <= 0.999:
        raise ValueError(f"{len(table)} values, {resamples} resamples, level {level}: no interval")
    if not ((table >= least) & (table <= 1)).all():
        raise ValueError(f"no interval: a value is not within [{least:g}, 1]")


def _resampled_means(table: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    """[resamples, columns]: how often each problem was drawn, times its values. Draws in chunks."""
    generator = np.random.default_rng(seed)
    problems = len(table)
    rows = max(1, _CHUNK // problems)
    means = []
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        drawn = generator.integers(problems, size=(count, problems)) + problems * np.arange(count)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * problems).reshape(count, problems)
        means.append(times.astype(np.float64) @ table / problems)
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
    """Around the mean, as far in its spreads as resampled means lie off in theirs."""
    variance = values.var()
    # A resample may hold equal values only; it then has the spread of the sample.
    spreads = np.sqrt(np.where(variances > variance * 1e-9, variances, variance))
    off = float(np.quantile(np.abs(shifts) / spreads, level) * np.sqrt(variance))
    mean = float(values.mean())
    return max(mean - off, -1.0), min(mean + off, 1.0)


def _unseen(values: np.ndarray, least: float, level: float) -> Interval:
    """Around the value that all problems have: a share s of others goes unseen with chance (1 - s)^problems.

    For a value of 0 or 1 this is the interval of Clopper and Pearson 1934 (Biometrika 26) for no event.
    """
    value = float(values[0])
    share = 1 - ((1 - level) / 2) ** (1 / len(values))
    return value - share * (value - least), value + share * (1 - value)
