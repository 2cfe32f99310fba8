from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.lib.launching import ROOT
from eval.samples import Score
from eval.scorers import score, scorers_for
from vlm_uec.errors import UserError
from vlm_uec.types import Problem

TRIANGLE = Problem("g", "What is x?", "12", source="geometry3k")
MATHVISTA = Problem(
    "mathvista-1", "Which?\nChoices:\n(A) red\n(B) blue", "blue", choices=("red", "blue"),
    question_type="multi_choice", source="mathvista",
)  # fmt: skip


def test_geometry_is_scored_by_the_verifier() -> None:
    scorers = scorers_for([TRIANGLE], None, None)
    assert list(scorers) == ["verify"]
    assert score(scorers, "\\boxed{12}", TRIANGLE) == {
        "verify": Score(True, "12", "equal to the truth", "3 to 5")
    }
    assert not score(scorers, "\\boxed{13}", TRIANGLE)["verify"].correct


def test_mathvista_has_its_own_rules_beside() -> None:
    """Edit distance takes a misspelt choice; the verifier does not."""
    scorers = scorers_for([MATHVISTA], None, None)
    assert list(scorers) == ["verify", "official"]
    verdicts = score(scorers, "\\boxed{blu}", MATHVISTA)
    assert not verdicts["verify"].correct
    assert verdicts["official"].correct
    assert all(verdict.correct for verdict in score(scorers, "\\boxed{B}", MATHVISTA).values())


def test_a_mixture_has_no_official_verdict() -> None:
    assert list(scorers_for([TRIANGLE, MATHVISTA], None, None)) == ["verify"]


def test_letters_count_where_the_prompt_lists_them() -> None:
    """The question does not; the template may."""
    bare = Problem("b", "Which?", "blue", choices=("red", "blue"))
    assert not score(scorers_for([bare], None, None), "\\boxed{B}", bare)["verify"].correct
    shown = scorers_for([bare], lambda problem: "Which?\n(A) red\n(B) blue", None)
    assert score(shown, "\\boxed{B}", bare)["verify"].correct


def test_a_reward_of_ones_own_is_a_third(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        'def reward(response, problem):\n    return ("sure" in response) + 0.5 * ("maybe" in response)\n'
    )
    scorers = scorers_for([TRIANGLE], None, f"{tmp_path}/mine.py:reward")
    assert list(scorers) == ["verify", "reward"]
    assert score(scorers, "sure", TRIANGLE)["reward"].correct
    assert not score(scorers, "maybe", TRIANGLE)["reward"].correct  # half right is not right


def test_a_reward_that_does_not_work_is_told_first() -> None:
    with pytest.raises(UserError, match="has no function 'no_such'"):
        scorers_for([TRIANGLE], None, f"{ROOT}/tests/support/plugins/mixed_reward.py:no_such")
