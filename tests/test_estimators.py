"""Pass@k against brute force over all subsets and against exact fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import comb, prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.estimators import bootstrap_interval, mean_pass_at_k, pass_at_k


@pytest.mark.parametrize("n", range(1, 13))
def test_against_every_subset(n: int) -> None:
    for c in range(n + 1):
        for k in range(1, n + 1):
            draws = [min(subset) < c for subset in combinations(range(n), k)]  # responses 0 .. c-1 are right
            assert pass_at_k(n, c, k) == float(Fraction(sum(draws), len(draws)))


@pytest.mark.parametrize(
    ("c", "k"), [(1, 2500), (3, 1000), (2500, 2), (7, 4999), (4999, 1), (1, 1), (40, 100)]
)
def test_exact_fractions_at_five_thousand(c: int, k: int) -> None:
    n = 5000
    misses = prod(
        (Fraction(n - k - i, n - i) for i in range(c)), start=Fraction(1)
    )  # C(n-c,k)/C(n,k), c factors
    assert pass_at_k(n, c, k) == float(1 - misses)


def test_a_single_success_among_thousands_keeps_its_chance() -> None:
    assert pass_at_k(5000, 1, 1) == 1 / 5000
    assert pass_at_k(5000, 1, 4) == 4 / 5000


@settings(deadline=None)
@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_bounds_and_growth(case: tuple[int, int, int]) -> None:
    n, c, k = case
    value = pass_at_k(n, c, k)
    assert 0 <= value <= 1
    assert (value == 0) == (c == 0)
    if n - c < k:
        assert value == 1
    elif comb(n - c, k) * 2**52 > comb(n, k):  # a smaller chance of failure rounds away
        assert value < 1
    if k < n:
        assert pass_at_k(n, c, k + 1) >= value
    assert pass_at_k(n, c, 1) == c / n


@pytest.mark.parametrize(
    ("n", "c", "k"), [(0, 0, 1), (5, 6, 1), (5, -1, 1), (5, 2, 0), (5, 2, 6), (-1, 0, 1)]
)
def test_outside_its_range_it_refuses(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"n={n}, c={c}, k={k}"):
        pass_at_k(n, c, k)


def test_mean_over_problems() -> None:
    assert mean_pass_at_k([(4, 4), (4, 0), (4, 1)], 2) == pytest.approx(
        (1 + 0 + 0.5) / 3
    )  # 1 - C(3,2)/C(4,2)
    assert mean_pass_at_k([(8, 2), (4, 1)], 1) == 0.25
    with pytest.raises(ValueError, match="no problem"):
        mean_pass_at_k([], 1)


def test_bootstrap_interval() -> None:
    values = [0.0, 1.0] * 200
    low, high = bootstrap_interval(values, seed=1)
    # The standard error of the mean is 0.5 / sqrt(400) = 0.025, so about 0.451 to 0.549.
    assert low == pytest.approx(0.451, abs=0.006) and high == pytest.approx(0.549, abs=0.006)
    assert bootstrap_interval(values, seed=1) == (low, high)
    assert bootstrap_interval(values, seed=2) != (low, high)
    narrow = bootstrap_interval(values, seed=1, level=0.5)
    assert low < narrow[0] < narrow[1] < high
    assert bootstrap_interval([0.25] * 7, seed=0) == (0.25, 0.25)


@pytest.mark.parametrize(("values", "resamples", "level"), [([], 10, 0.9), ([1.0], 0, 0.9), ([1.0], 10, 1.0)])
def test_bootstrap_refuses_what_has_no_interval(values: list[float], resamples: int, level: float) -> None:
    with pytest.raises(ValueError, match="no interval"):
        bootstrap_interval(values, 0, resamples, level)
