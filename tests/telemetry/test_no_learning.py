"""Runs that had nothing to learn from, and similar runs that had."""

from __future__ import annotations

import pytest

from vlm_uec.telemetry.no_learning import no_learning

STEP = {"reward/accuracy": 0.25, "update/optimizer_steps": 4, "uec/rescued_prompts": 0, "uec/pending": 0}


def _rows(*changes: dict[str, float | None]) -> list[dict[str, float | None]]:
    """One row per step: an ordinary step with these changes; None removes a metric."""
    return [
        {name: value for name, value in {**STEP, **change}.items() if value is not None} for change in changes
    ]


def _reason(*changes: dict[str, float | None]) -> str:
    reason = no_learning(_rows(*changes))
    assert reason is not None
    return reason


WRONG: dict[str, float | None] = {"reward/accuracy": 0.0}
RIGHT: dict[str, float | None] = {"reward/accuracy": 1.0}
WAITS: dict[str, float | None] = {"update/optimizer_steps": None, "uec/pending": 12}


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(_rows({}, {}), id="ordinary"),
        pytest.param(_rows(WRONG, {**WRONG, "uec/rescued_prompts": 1}), id="one prompt rescued"),
        pytest.param(_rows(WRONG, {"reward/accuracy": 0.01}), id="one right response"),
        pytest.param(_rows(RIGHT, {"reward/accuracy": 0.99}), id="one wrong response"),
        pytest.param(_rows(WAITS, {}), id="an update at the second step"),
        pytest.param(_rows(WAITS, {**WAITS, "replay/optimizer_steps": 1}), id="a replay alone"),
        pytest.param([], id="no step"),
        pytest.param([{"step": 0, "eval/pass@1": 0.0}], id="only the starting model's validation"),
    ],
)
def test_a_run_that_could_learn_has_no_warning(rows: list[dict[str, float | None]]) -> None:
    assert no_learning(rows) is None


def test_no_right_response() -> None:
    """Updates are made all the same: plain GRPO trains on groups without a gradient."""
    reason = _reason(WRONG, WRONG)
    assert reason.startswith("no response was right in 2 steps")
    assert "eval/passk.py --samples 16" in reason


def test_only_right_responses() -> None:
    assert _reason(RIGHT).startswith("every response was right in 1 step, ")


def test_the_validation_of_the_starting_model_is_no_step() -> None:
    assert no_learning([{"step": 0, "eval/pass@1": 0.5}, *_rows(RIGHT)]) is not None


def test_a_queue_that_was_never_full() -> None:
    reason = _reason(WAITS, {**WAITS, "uec/pending": 30})
    assert reason.startswith("no update was made in 2 steps: 30 trajectories wait for a full batch")


def test_nothing_retained() -> None:
    assert "no trajectory was retained" in _reason({**WAITS, "uec/pending": 0})


def test_only_skipped_updates() -> None:
    assert "non-finite" in _reason({**WAITS, "update/skipped": 2})
