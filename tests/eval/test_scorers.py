from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from benchmarks.lib.launching import ROOT
from eval.samples import Score
from eval.scorers import make_scorers, score_response, scorer_fingerprints
from vlm_uec.errors import UserError
from vlm_uec.mathruler import install
from vlm_uec.types import Problem
from vlm_uec.verifier import Strictness

TRIANGLE = Problem("g", "What is x?", "12", source="geometry3k")
MATHVISTA = Problem(
    "mathvista-1", "Which?\nChoices:\n(A) red\n(B) blue", "blue", choices=("red", "blue"),
    question_type="multi_choice", source="mathvista",
)  # fmt: skip


def test_geometry_is_scored_by_the_verifier_only() -> None:
    scorers = make_scorers([TRIANGLE], None, None)
    assert list(scorers) == ["verify"]
    assert score_response(scorers, "\\boxed{12}", TRIANGLE) == {
        "verify": Score(True, "12", "equal to the truth", "3 to 5")
    }
    assert not score_response(scorers, "\\boxed{13}", TRIANGLE)["verify"].correct


def test_mathvista_is_also_scored_by_its_official_rules() -> None:
    """Edit distance accepts a misspelt choice; the verifier does not."""
    scorers = make_scorers([MATHVISTA], None, None)
    assert list(scorers) == ["verify", "official"]
    verdicts = score_response(scorers, "\\boxed{blu}", MATHVISTA)
    assert not verdicts["verify"].correct
    assert verdicts["official"].correct
    assert all(verdict.correct for verdict in score_response(scorers, "\\boxed{B}", MATHVISTA).values())


def test_mixture_has_no_official_scorer() -> None:
    assert list(make_scorers([TRIANGLE, MATHVISTA], None, None)) == ["verify"]


def test_letters_count_if_the_prompt_lists_the_choices() -> None:
    """The question does not list them; the template may."""
    bare = Problem("b", "Which?", "blue", choices=("red", "blue"))
    assert not score_response(make_scorers([bare], None, None), "\\boxed{B}", bare)["verify"].correct
    with_prompt = make_scorers([bare], lambda problem: "Which?\n(A) red\n(B) blue", None)
    assert score_response(with_prompt, "\\boxed{B}", bare)["verify"].correct


def test_strictness_decides_where_the_verifier_and_the_accuracy_reward_look() -> None:
    inside, sentence = "<think>\\boxed{12}</think>", "The answer is 12."

    def right(response: str, strictness: Strictness) -> list[bool]:
        scorers = make_scorers([TRIANGLE], None, "accuracy", strictness=strictness)
        return [score.correct for score in score_response(scorers, response, TRIANGLE).values()]

    assert right(inside, Strictness()) == [False, False]
    assert right(inside, Strictness(thinking="accept")) == [True, True]
    assert right(sentence, Strictness()) == [True, True]
    assert right(sentence, Strictness(statements="boxed_only")) == [False, False]


def test_custom_reward_is_a_third_scorer(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        'def reward(response, problem):\n    return ("sure" in response) + 0.5 * ("maybe" in response)\n'
    )
    scorers = make_scorers([TRIANGLE], None, f"{tmp_path}/mine.py:reward")
    assert list(scorers) == ["verify", "reward"]
    assert score_response(scorers, "sure", TRIANGLE)["reward"].correct
    assert not score_response(scorers, "maybe", TRIANGLE)["reward"].correct  # a reward of 0.5 is not correct


def test_mathruler_is_a_scorer_beside_the_others(tmp_path: Path) -> None:
    """It counts a box inside the thinking, which the verifier does not."""
    pytest.importorskip("mathruler")
    (tmp_path / "mine.py").write_text("def reward(response, problem):\n    return 1\n")
    scorers = make_scorers([TRIANGLE], None, f"{tmp_path}/mine.py:reward", mathruler=True)
    assert list(scorers) == ["verify", "mathruler", "reward"]
    scores = score_response(scorers, "<think>\\boxed{5} or \\boxed{12.0}</think>", TRIANGLE)
    assert not scores["verify"].correct
    assert scores["mathruler"] == Score(True, "12.0", "the last box: equal for mathruler", "")
    assert score_response(scorers, "12", TRIANGLE)["mathruler"].extracted is None


def test_mathruler_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(install, "version", missing)
    with pytest.raises(UserError, match="the package mathruler is not installed; pip install mathruler"):
        make_scorers([TRIANGLE], None, None, mathruler=True)


def test_the_fingerprints_name_the_function_or_the_versions(tmp_path: Path) -> None:
    pytest.importorskip("mathruler")
    assert scorer_fingerprints(None, False) == {"reward_fingerprint": None, "mathruler_fingerprint": None}
    assert "mathruler 0.1.0, pylatexenc" in str(scorer_fingerprints(None, True)["mathruler_fingerprint"])
    assert "mathruler 0.1.0, pylatexenc" in str(scorer_fingerprints("mathruler", False)["reward_fingerprint"])
    assert scorer_fingerprints("accuracy", False)["reward_fingerprint"] == "accuracy"


def test_broken_reward_is_refused() -> None:
    with pytest.raises(UserError, match="has no function 'no_such'"):
        make_scorers([TRIANGLE], None, f"{ROOT}/tests/support/plugins/mixed_reward.py:no_such")
