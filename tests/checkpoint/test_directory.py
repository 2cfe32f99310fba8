"""Which checkpoints are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_uec.checkpoint.directory import KeepCounts, best_first, names_to_keep

A, B, C, D = "step_000010", "step_000020", "step_000030", "step_000040"
SCORES = {A: 0.5, B: None, C: 0.75, D: 0.5}


@pytest.mark.parametrize(
    ("latest", "keep", "expected"),
    [
        (D, KeepCounts(1, 0), {D}),
        (D, KeepCounts(2, 0), {C, D}),
        (D, KeepCounts(1, 1), {C, D}),
        (D, KeepCounts(1, 2), {A, C, D}),  # ties go to the earliest
        (D, KeepCounts(9, 9), {A, B, C, D}),
        (B, KeepCounts(1, 0), {B, C, D}),  # later checkpoints are kept
        (B, KeepCounts(1, 1), {A, B, C, D}),  # and not counted as best
        ("step_000000", KeepCounts(1, 1), {A, B, C, D}),
    ],
)
def test_names_to_keep(latest: str, keep: KeepCounts, expected: set[str]) -> None:
    assert names_to_keep(SCORES, latest, keep) == expected


def test_steps_are_compared_as_numbers() -> None:
    """As text, step_1000000 comes before step_999999."""
    scores = dict.fromkeys(("step_999999", "step_1000000"), None)
    assert names_to_keep(scores, "step_1000000", KeepCounts(1, 0)) == {"step_1000000"}


def test_best_first() -> None:
    assert best_first(SCORES) == [C, A, D]
    assert best_first({A: None}) == []


_SCORES = st.dictionaries(
    st.integers(0, 60).map(lambda step: f"step_{step:06d}"), st.none() | st.floats(0, 1), min_size=1
)


@given(_SCORES, st.integers(1, 5), st.integers(0, 3))
def test_the_newest_is_always_kept(scores: dict[str, float | None], newest: int, best: int) -> None:
    latest = max(scores)
    kept = names_to_keep(scores, latest, KeepCounts(newest, best))
    assert latest in kept
    assert min(newest, len(scores)) <= len(kept) <= newest + best
    if best and best_first(scores):
        top = max(score for score in scores.values() if score is not None)
        assert top in {scores[name] for name in kept}
