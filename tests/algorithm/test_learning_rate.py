"""Learning rates against tables computed by hand."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_uec.algorithm.learning_rate import Decay, learning_rate

# cos(pi / 4) = 0.7071: (1 + 0.7071) / 2 = 0.85355
TABLE: list[tuple[Decay, int, float, list[float]]] = [
    ("constant", 0, 0.0, [8, 8, 8, 8]),
    ("constant", 4, 0.0, [2, 4, 6, 8, 8, 8]),
    ("linear", 0, 0.0, [8, 6, 4, 2]),
    ("linear", 2, 0.0, [4, 8, 8, 6, 4, 2]),
    ("linear", 0, 0.5, [8, 7, 6, 5]),
    ("cosine", 0, 0.0, [8, 8 * 0.853553, 4, 8 * 0.146447]),
    ("cosine", 1, 0.25, [8, 8, 2 + 6 * 0.853553, 5, 2 + 6 * 0.146447]),
    ("linear", 3, 0.0, [8 / 3, 16 / 3, 8]),  # all of the run is warm-up
]


@pytest.mark.parametrize(("decay", "warmup", "floor", "expected"), TABLE)
def test_rates_of_every_step(decay: Decay, warmup: int, floor: float, expected: list[float]) -> None:
    steps = len(expected)
    rates = [
        learning_rate(8.0, step, steps=steps, warmup=warmup, decay=decay, floor=floor)
        for step in range(1, steps + 1)
    ]
    assert rates == pytest.approx(expected, rel=1e-5)


@given(
    st.sampled_from(["constant", "linear", "cosine"]),
    st.integers(1, 500),
    st.data(),
    st.floats(0, 1),
)
def test_rates_rise_to_the_peak_and_never_rise_again(
    decay: Decay, steps: int, data: st.DataObject, floor: float
) -> None:
    warmup = data.draw(st.integers(0, steps))
    rates = [
        learning_rate(1e-6, step, steps=steps, warmup=warmup, decay=decay, floor=floor)
        for step in range(1, steps + 1)
    ]
    assert all(0 < rate <= 1e-6 * (1 + 1e-9) for rate in rates)
    assert rates[:warmup] == sorted(rates[:warmup])
    falling = rates[max(0, warmup - 1) :]
    assert all(later <= earlier * (1 + 1e-9) for earlier, later in itertools.pairwise(falling))
    assert math.isclose(max(rates), 1e-6)


@pytest.mark.parametrize(("decay", "expected"), [("constant", 8), ("linear", 2), ("cosine", 2)])
def test_steps_beyond_the_last_one_have_the_floor(decay: Decay, expected: float) -> None:
    """A checkpoint of a longer run may be resumed with fewer steps."""
    assert learning_rate(8.0, 50, steps=10, warmup=0, decay=decay, floor=0.25) == pytest.approx(expected)
