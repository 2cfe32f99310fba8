"""Unbiased Pass@k and maj@k, in exact integers.

Both are the expected score of k responses drawn without replacement from a problem's n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb

import numpy as np


@dataclass(frozen=True)
class Votes:
    """A problem's n responses counted by answer: `right`, and one count in `wrong` per wrong answer."""

    right: int
    wrong: tuple[int, ...]
    unanswered: int  # responses without an answer

    @property
    def n(self) -> int:
        return self.right + sum(self.wrong) + self.unanswered


def pass_at_k(n: int, c: int, k: int) -> float:
    """Probability that k of n responses, drawn without replacement, include one of the c right ones.

    `1 - C(n-c, k) / C(n, k)` (Chen et al. 2021, arXiv 2107.03374, eq. 1), in exact integers and rounded once.
    Raises ValueError unless 1 <= k <= n and 0 <= c <= n.
    """
    if not (1 <= k <= n and 0 <= c <= n):
        raise ValueError(f"Pass@k needs 1 <= k <= n and 0 <= c <= n, not n={n}, c={c}, k={k}")
    return float(1 - Fraction(comb(n - c, k), comb(n, k)))


def mean_pass_at_k(counts: Sequence[tuple[int, int]], k: int) -> float:
    """Mean of Pass@k over problems given as (n responses, c right). Raises ValueError for no problem."""
    if not counts:
        raise ValueError("Pass@k of no problem is undefined")
    return float(np.mean([pass_at_k(n, c, k) for n, c in counts]))


def mean_at_n(n: int, c: int) -> float:
    """Fraction of the n responses that are right. Raises ValueError unless 0 <= c <= n and n >= 1."""
    return pass_at_k(n, c, 1)


def maj_at_k(votes: Votes, k: int) -> float:
    """Expected score of the majority answer of k responses drawn without replacement from `votes`.

    A draw scores 1 if the right answer has the most votes (self-consistency, Wang et al. 2022, arXiv
    2203.11171), 1 / (t + 1) if t wrong answers have equally many, and 0 otherwise; responses without an
    answer do not vote. By the multivariate hypergeometric law, in exact integers and rounded once: the sum
    over j right votes and t of `C(right, j) * ways(k - j, j)[t] / (t + 1)`, divided by `C(n, k)`.
    Raises ValueError unless 1 <= k <= n, no count is negative and every wrong answer has a vote.
    """
    if min(votes.right, votes.unanswered) < 0 or min(votes.wrong, default=1) < 1 or not 1 <= k <= votes.n:
        raise ValueError(f"maj@k needs counts of answers and 1 <= k <= n, not {votes}, k={k}")
    score = sum(
        (
            comb(votes.right, j) * Fraction(ways, t + 1)
            for j in range(1, min(votes.right, k) + 1)
            for t, ways in enumerate(_count_draws(votes, k - j, j))
        ),
        start=Fraction(0),
    )
    return float(score / comb(votes.n, k))


def _count_draws(votes: Votes, size: int, most: int) -> list[int]:
    """By t: the number of draws of `size` responses, none right, in which t answers have `most` votes and the
    others have fewer.

    Answers that can reach `most` are handled one by one; all other responses are pooled.
    """
    strong = [count for count in votes.wrong if count >= most]
    pool = votes.unanswered + sum(votes.wrong) - sum(strong)
    # No coefficient up to x^size is larger; higher ones overflow upwards only, and are cut off.
    bits = comb(votes.n, min(size, votes.n // 2)).bit_length()
    table = [1]
    for count in strong:
        table = _add_answer(table, count, most, bits, size)
    others = [comb(pool, size - drawn) for drawn in range(size + 1)]
    return [sum(map(int.__mul__, _unpack(packed, bits, size), others)) for packed in table]


def _add_answer(table: list[int], count: int, most: int, bits: int, size: int) -> list[int]:
    """The table with one more answer, of `count` responses: drawn fewer than `most` times, or `most` times.

    A row is the polynomial whose coefficient of x^d counts the draws of d responses. It is packed into an
    integer with `bits` bits per coefficient, so that integer products are polynomial products; terms above
    x^size are dropped.
    """
    mask = (1 << bits * (size + 1)) - 1
    fewer = sum(comb(count, votes) << bits * votes for votes in range(most))
    level = comb(count, most)
    extended = [packed * fewer & mask for packed in table] + [0]
    for t, packed in enumerate(table):
        extended[t + 1] += (packed * level << bits * most) & mask
    return extended if extended[-1] else extended[:-1]


def _unpack(packed: int, bits: int, size: int) -> list[int]:
    """The coefficients of x^0 to x^size of a packed polynomial."""
    mask = (1 << bits) - 1
    return [packed >> bits * power & mask for power in range(size + 1)]
