"""Pass@k and maj@k against brute force over all subsets and exact fractions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations
from math import comb, prod
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_uec.estimators import (
    Votes,
    maj_at_k,
    mean_at_n,
    mean_pass_at_k,
    pass_at_k,
)


@pytest.mark.parametrize("n", range(1, 13))
def test_pass_at_k_against_every_subset(n: int) -> None:
    for c in range(n + 1):
        for k in range(1, n + 1):
            draws = [min(subset) < c for subset in combinations(range(n), k)]  # responses 0 .. c-1 are right
            assert pass_at_k(n, c, k) == float(Fraction(sum(draws), len(draws)))


@pytest.mark.parametrize(
    ("c", "k"), [(1, 2500), (3, 1000), (2500, 2), (7, 4999), (4999, 1), (1, 1), (40, 100)]
)
def test_pass_at_k_equals_exact_fractions_at_n_5000(c: int, k: int) -> None:
    n = 5000
    misses = prod(
        (Fraction(n - k - i, n - i) for i in range(c)), start=Fraction(1)
    )  # C(n-c,k)/C(n,k), c factors
    assert pass_at_k(n, c, k) == float(1 - misses)


def test_pass_at_k_of_one_success_in_5000() -> None:
    assert pass_at_k(5000, 1, 1) == 1 / 5000
    assert pass_at_k(5000, 1, 4) == 4 / 5000


@settings(deadline=None)
@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_bounded_and_grows_with_k(case: tuple[int, int, int]) -> None:
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
def test_pass_at_k_refuses_arguments_out_of_range(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"n={n}, c={c}, k={k}"):
        pass_at_k(n, c, k)


def test_mean_pass_at_k_is_a_mean_over_problems() -> None:
    assert mean_pass_at_k([(4, 4), (4, 0), (4, 1)], 2) == pytest.approx(
        (1 + 0 + 0.5) / 3
    )  # 1 - C(3,2)/C(4,2)
    assert mean_pass_at_k([(8, 2), (4, 1)], 1) == 0.25
    with pytest.raises(ValueError, match="no problem"):
        mean_pass_at_k([], 1)


def test_mean_at_n_is_the_share_of_right_responses() -> None:
    assert mean_at_n(16, 4) == 0.25
    with pytest.raises(ValueError, match="n=0"):
        mean_at_n(0, 0)


@pytest.mark.parametrize(
    ("votes", "k", "expected"),
    [
        (Votes(2, (1,), 0), 3, 1.0),
        (Votes(1, (2,), 0), 3, 0.0),
        (Votes(2, (2,), 0), 4, 1 / 2),  # a tie of two
        (Votes(1, (1, 1), 5), 8, 1 / 3),  # a tie of three; responses without an answer do not vote
        (Votes(1, (), 7), 8, 1.0),
        (Votes(1, (), 3), 2, 1 / 2),  # drawn in 3 of 6 pairs; the others have no vote
        (Votes(2, (1,), 0), 2, 2 / 3),  # rr wins, rw twice ties: (1 + 1/2 + 1/2) / 3
        (Votes(0, (3,), 1), 2, 0.0),
        (Votes(0, (), 4), 4, 0.0),
    ],
)
def test_maj_at_k_by_hand(votes: Votes, k: int, expected: float) -> None:
    assert maj_at_k(votes, k) == expected


@pytest.mark.parametrize("n", range(1, 9))
def test_maj_at_k_against_every_subset_of_all_votes_up_to_8(n: int) -> None:
    for votes in _every_vote(n):
        for k in range(1, n + 1):
            assert maj_at_k(votes, k) == _maj_of_subsets(votes, k), (votes, k)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 5), st.lists(st.integers(1, 4), max_size=4), st.integers(0, 2), st.integers(1, 10))
def test_maj_at_k_against_subsets(right: int, wrong: list[int], unanswered: int, k: int) -> None:
    votes = Votes(right, tuple(wrong), unanswered)
    if k <= votes.n <= 12:
        assert maj_at_k(votes, k) == _maj_of_subsets(votes, k)


@pytest.mark.parametrize("k", [1, 2, 3, 7, 128, 255, 256])
def test_maj_at_k_of_two_answers_equals_the_hypergeometric_law(k: int) -> None:
    right, wrong = 100, 156
    ways = [(j, comb(right, j) * comb(wrong, k - j)) for j in range(k + 1)]
    earned = sum(Fraction(way, 2 if 2 * j == k else 1) for j, way in ways if 2 * j >= k)
    assert maj_at_k(Votes(right, (wrong,), 0), k) == float(earned / comb(right + wrong, k))


def test_maj_at_k_of_many_answers_equals_random_draws() -> None:
    votes, k, draws = Votes(14, (12, 9, 9, 5, 3, 1, 1, 1), 9), 16, 20_000
    random, responses = Random(7), _responses(votes)
    earned = [float(_earned(random.sample(responses, k))) for _ in range(draws)]
    error = float(np.std(earned)) / draws**0.5
    assert maj_at_k(votes, k) == pytest.approx(float(np.mean(earned)), abs=4 * error)


@settings(deadline=None)
@given(st.integers(0, 12), st.lists(st.integers(1, 9), max_size=6), st.integers(0, 6), st.randoms())
def test_invariants_of_maj_at_k(right: int, wrong: list[int], unanswered: int, random: Random) -> None:
    votes = Votes(right, tuple(wrong), unanswered)
    if votes.n == 0:
        return
    shuffled = Votes(right, tuple(random.sample(wrong, len(wrong))), unanswered)
    assert maj_at_k(votes, 1) == float(Fraction(right, votes.n))
    for k in range(1, votes.n + 1):
        value = maj_at_k(votes, k)
        assert value == maj_at_k(shuffled, k)
        assert value <= pass_at_k(
            votes.n, right, k
        )  # only a draw with a right response can elect the right answer
        if not wrong:
            assert value == pass_at_k(votes.n, right, k)


@pytest.mark.parametrize(
    ("votes", "k"),
    [(Votes(2, (1,), 0), 4), (Votes(2, (), 0), 0), (Votes(-1, (2,), 0), 1), (Votes(1, (0,), 0), 1)],
)
def test_maj_at_k_refuses_invalid_counts(votes: Votes, k: int) -> None:
    with pytest.raises(ValueError, match="maj@k needs counts"):
        maj_at_k(votes, k)


def _responses(votes: Votes) -> list[str | None]:
    wrong = [f"wrong {number}" for number, count in enumerate(votes.wrong) for _ in range(count)]
    return ["right"] * votes.right + wrong + [None] * votes.unanswered


def _earned(drawn: tuple[str | None, ...] | list[str | None]) -> Fraction:
    counts = Counter(answer for answer in drawn if answer is not None)
    elected = [answer for answer in counts if counts[answer] == max(counts.values())]
    return Fraction(int("right" in elected), max(len(elected), 1))


def _maj_of_subsets(votes: Votes, k: int) -> float:
    earned = Counter(_earned(subset) for subset in combinations(_responses(votes), k))
    return float(sum(value * count for value, count in earned.items()) / earned.total())


def _every_vote(n: int) -> Iterator[Votes]:
    for right in range(n + 1):
        for unanswered in range(n - right + 1):
            for wrong in _partitions(n - right - unanswered, n):
                yield Votes(right, wrong, unanswered)


def _partitions(total: int, largest: int) -> Iterator[tuple[int, ...]]:
    if total == 0:
        yield ()
    for first in range(min(total, largest), 0, -1):
        for rest in _partitions(total - first, first):
            yield (first, *rest)
