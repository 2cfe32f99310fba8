"""Bootstrap intervals over problems: bounds and coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.lib.interval_coverage import Estimand, N, coverage, population
from benchmarks.lib.populations import POPULATIONS
from eval.intervals import bootstrap_interval, bootstrap_intervals, paired_interval, paired_intervals

pytestmark = pytest.mark.slow


def test_bootstrap_interval() -> None:
    values = [0.0, 1.0] * 200
    low, high = bootstrap_interval(values, seed=1)
    # The standard error of the mean is 0.5 / sqrt(400) = 0.025, so about 0.451 to 0.549.
    assert low == pytest.approx(0.451, abs=0.006) and high == pytest.approx(0.549, abs=0.006)
    assert bootstrap_interval(values, seed=1) == (low, high)
    assert bootstrap_interval(values, seed=2) != (low, high)
    narrow = bootstrap_interval(values, seed=1, level=0.5)
    assert low < narrow[0] < narrow[1] < high


def test_interval_of_few_solved_problems_is_skewed_upwards() -> None:
    low, high = bootstrap_interval([1.0] * 10 + [0.0] * 190, seed=1)
    # Wilson's interval for 10 of 200 is 0.0274 to 0.0896; a symmetric one would be 0.020 to 0.080.
    assert low == pytest.approx(0.0274, abs=0.004) and high == pytest.approx(0.0896, abs=0.006)


def test_interval_of_equal_values_allows_for_unobserved_problems() -> None:
    share = 1 - 0.025 ** (1 / 200)  # (1 - share)^200 is 2.5 %
    assert bootstrap_interval([1.0] * 200, seed=1) == pytest.approx((1 - share, 1.0))
    assert bootstrap_interval([0.0] * 200, seed=1) == pytest.approx((0.0, share))
    assert bootstrap_interval([0.25] * 200, seed=1) == pytest.approx(
        (0.25 - 0.25 * share, 0.25 + 0.75 * share)
    )
    assert paired_interval([0.0] * 200, seed=1) == pytest.approx((-share, share))


def test_paired_interval() -> None:
    differences = [0.5, -0.25, 0.0, 0.0] * 100
    low, high = paired_interval(differences, seed=1)
    # Mean 0.0625, standard deviation sqrt(0.078125 - 0.00390625) = 0.2724, so plus and minus 1.96 * 0.01362.
    assert (low + high) / 2 == pytest.approx(0.0625)
    assert high - low == pytest.approx(2 * 1.96 * 0.01362, rel=0.05)
    assert paired_interval([-each for each in differences], seed=1) == pytest.approx((-high, -low))


def test_intervals_of_a_table_equal_those_of_its_columns() -> None:
    table = np.random.default_rng(0).random((3000, 2))  # more than one chunk of problems x resamples
    alone = [bootstrap_interval(column.tolist(), seed=4) for column in table.T]
    assert np.allclose(bootstrap_intervals(table, seed=4), alone, rtol=0, atol=1e-12)
    paired = [paired_interval(column.tolist(), seed=4) for column in table.T]
    assert np.allclose(paired_intervals(table, seed=4), paired, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=1, max_size=40), st.integers(0, 3))
def test_intervals_stay_in_range_and_contain_the_mean(values: list[float], seed: int) -> None:
    mean = float(np.mean(values))
    low, high = bootstrap_interval(values, seed, resamples=400)
    assert -1e-12 <= low <= mean + 1e-12 and mean - 1e-12 <= high <= 1 + 1e-12
    low, high = paired_interval([2 * value - 1 for value in values], seed, resamples=400)
    assert -1 <= low <= 2 * mean - 1 + 1e-12 and 2 * mean - 1 - 1e-12 <= high <= 1


@pytest.mark.parametrize(("values", "resamples", "level"), [([], 10, 0.9), ([1.0], 0, 0.9), ([1.0], 10, 1.0)])
def test_invalid_arguments_are_refused(values: list[float], resamples: int, level: float) -> None:
    for interval in (bootstrap_interval, paired_interval):
        with pytest.raises(ValueError, match="no interval"):
            interval(values, 0, resamples, level)


@pytest.mark.parametrize("value", [-0.5, 1.5, float("nan")])
def test_values_out_of_range_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"within \[0, 1\]"):
        bootstrap_interval([0.5, value], 0)
    with pytest.raises(ValueError, match=r"within \[-1, 1\]"):
        paired_interval([0.5, value * 3], 0)


@pytest.mark.parametrize("name", ["mixed", "hard", "slight"])
def test_intervals_of_200_problems_cover_the_truth(name: str) -> None:
    for estimand in population(POPULATIONS[name], seed=5, pool=8000):
        if estimand.differing(200) >= 10:
            covered = 1 - sum(coverage(estimand, 200, seed=5, repetitions=1000))
            assert 0.93 - 0.014 <= covered <= 0.97 + 0.011, estimand.name  # two standard errors of 1000


def test_estimates_of_a_population_are_unbiased() -> None:
    chances = POPULATIONS["hard"](np.random.default_rng(3), 20_000)  # what population() draws first
    found: dict[str, Estimand] = {each.name: each for each in population(POPULATIONS["hard"], 3, 20_000)}
    for k in (1, 4, N):
        sampled = found[f"pass@{k}"].values - (1 - (1 - chances) ** k)
        assert abs(sampled.mean()) <= 4 * sampled.std() / len(chances) ** 0.5
