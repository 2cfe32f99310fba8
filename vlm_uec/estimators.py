"""Pass@k and maj@k without bias, in exact integers.

Both ask what k responses, drawn without replacement from a problem's n, would have earned on average.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb

import numpy as np


@dataclass(frozen=True)
class Votes:
    """How many of a problem's n responses say the same: `right` one answer, `wrong` one count an answer."""

    right: int
    wrong: tuple[int, ...]
    silent: int  # found no answer

    @property
    def n(self) -> int:
        return self.right + sum(self.wrong) + self.silent


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that k responses, drawn without replacement from n of which c are right, hold a right one.

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
    """Share of the n responses that are right. Raises ValueError unless 0 <= c <= n and n >= 1."""
    return pass_at_k(n, c, 1)


def maj_at_k(votes: Votes, k: int) -> float:
    """Expected score of the majority answer of k responses drawn without replacement from `votes`.

    A draw scores 1 where the right answer has most votes (self-consistency, Wang et al. 2022, arXiv
    2203.11171), 1 / (t + 1) where t wrong ones have as many, and else 0; silent responses do not vote. By the
    multivariate hypergeometric law, in exact integers and rounded once: the sum over j right votes and t of
    `C(right, j) * ways(k - j, j)[t] / (t + 1)`, divided by `C(n, k)`.
    Raises ValueError unless 1 <= k <= n, no count is negative and no wrong answer has none.
    """
    if min(votes.right, votes.silent) < 0 or min(votes.wrong, default=1) < 1 or not 1 <= k <= votes.n:
        raise ValueError(f"maj@k needs counts of answers and 1 <= k <= n, not {votes}, k={k}")
    score = sum(
        (
            comb(votes.right, j) * Fraction(ways, t + 1)
            for j in range(1, min(votes.right, k) + 1)
            for t, ways in enumerate(_ways(votes, k - j, j))
        ),
        start=Fraction(0),
    )
    return float(score / comb(votes.n, k))


def _ways(votes: Votes, size: int, most: int) -> list[int]:
    """By t: draws of `size` responses, none right, with `most` votes for t answers and fewer for the others.

    Answers that could reach `most` are taken one by one; the rest, silence included, are one urn.
    """
    strong = [count for count in votes.wrong if count >= most]
    urn = votes.silent + sum(votes.wrong) - sum(strong)
    # No coefficient within `size` is greater; what overflows beyond it runs upwards, where it is cut.
    slot = comb(votes.n, min(size, votes.n // 2)).bit_length()
    table = [1]
    for count in strong:
        table = _with_answer(table, count, most, slot, size)
    others = [comb(urn, size - taken) for taken in range(size + 1)]
    return [sum(map(int.__mul__, _unpacked(packed, slot, size), others)) for packed in table]


def _with_answer(table: list[int], count: int, most: int, slot: int, size: int) -> list[int]:
    """The table with one more answer, of `count` responses: drawn fewer than `most` times, or as often.

    A row is the polynomial whose coefficient of x^d counts the draws of d responses, packed into an integer
    with `slot` bits a coefficient, so that a product of integers is one of polynomials; cut after x^size.
    """
    kept = (1 << slot * (size + 1)) - 1
    fewer = sum(comb(count, votes) << slot * votes for votes in range(most))
    level = comb(count, most)
    grown = [packed * fewer & kept for packed in table] + [0]
    for t, packed in enumerate(table):
        grown[t + 1] += (packed * level << slot * most) & kept
    return grown if grown[-1] else grown[:-1]


def _unpacked(packed: int, slot: int, size: int) -> list[int]:
    """The coefficients of x^0 to x^size of a polynomial that is packed into one integer, `slot` bits each."""
    mask = (1 << slot) - 1
    return [packed >> slot * power & mask for power in range(size + 1)]
