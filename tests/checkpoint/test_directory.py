"""Which checkpoints stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_uec.checkpoint.directory import Keep, ranking, staying

A, B, C, D = "step_000010", "step_000020", "step_000030", "step_000040"
SCORES = {A: 0.5, B: None, C: 0.75, D: 0.5}


@pytest.mark.parametrize(
    ("latest", "keep", "expected"),
    [
        (D, Keep(1, 0), {D}),
        (D, Keep(2, 0), {C, D}),
        (D, Keep(1, 1), {C, D}),
        (D, Keep(1, 2), {A, C, D}),  # of equals the earlier
        (D, Keep(9, 9), {A, B, C, D}),
        (B, Keep(1, 0), {B, C, D}),  # a future given up stays as it is
        (B, Keep(1, 1), {A, B, C, D}),  # and is no better one
        ("step_000000", Keep(1, 1), {A, B, C, D}),
    ],
)
def test_staying(latest: str, keep: Keep, expected: set[str]) -> None:
    assert staying(SCORES, latest, keep) == expected


def test_steps_are_numbers() -> None:
    """As text, step_1000000 comes before step_999999."""
    scores = dict.fromkeys(("step_999999", "step_1000000"), None)
    assert staying(scores, "step_1000000", Keep(1, 0)) == {"step_1000000"}


def test_ranking() -> None:
    assert ranking(SCORES) == [C, A, D]
    assert ranking({A: None}) == []


_SCORES = st.dictionaries(
    st.integers(0, 60).map(lambda step: f"step_{step:06d}"), st.none() | st.floats(0, 1), min_size=1
)


@given(_SCORES, st.integers(1, 5), st.integers(0, 3))
def test_the_newest_always_stays_and_no_more_than_asked(
    scores: dict[str, float | None], newest: int, best: int
) -> None:
    latest = max(scores)
    stay = staying(scores, latest, Keep(newest, best))
    assert latest in stay
    assert min(newest, len(scores)) <= len(stay) <= newest + best
    if best and ranking(scores):
        top = max(score for score in scores.values() if score is not None)
        assert top in {scores[name] for name in stay}
