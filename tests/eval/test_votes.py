"""Responses that vote for the same answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.estimators import Votes
from eval.samples import Sample, Score
from eval.votes import MAX_COMPARED, count_votes, merge_answers
from vlm_uec.types import Problem

PROBLEM = Problem("p", "How long is AB? <image>", "99")
LISTED = Problem("p", "How long? (A) 5 (B) 12 (C) 13", "A", choices=("5", "12", "13"))


def _samples(*answers: str | None, right: int = 0, scorer: str = "verify") -> list[Sample]:
    """Wrong responses with these answers, after `right` correct ones with different texts."""
    scores = [Score(True, f"99.{'0' * number}", "", "") for number in range(right)]
    scores += [Score(False, answer, "", "") for answer in answers]
    return [Sample("p", number, "", 1, False, {scorer: score}) for number, score in enumerate(scores)]


def test_correct_responses_are_one_answer_and_empty_ones_do_not_vote() -> None:
    assert count_votes(_samples("7", None, "", " ", right=3), PROBLEM, "verify") == Votes(3, (1,), 3)


@pytest.mark.parametrize(
    "answers",
    [
        ("12", "12.0"),
        ("12", r"\sqrt{144}"),
        ("12", "12 cm", "x = 12", "$12$", r"\text{12}"),
        (r"\frac{1}{2}", "0.5", "1/2"),
        ("5\\sqrt{3}", "\\sqrt{75}"),
        ("Yes", "yes"),
    ],
)
def test_verifier_decides_which_answers_are_the_same(answers: tuple[str, ...]) -> None:
    assert count_votes(_samples(*answers), PROBLEM, "verify") == Votes(0, (len(answers),), 0)


def test_different_answers_stay_apart() -> None:
    assert count_votes(_samples("12", "13", "12.5", "12"), PROBLEM, "verify") == Votes(0, (1, 1, 2), 0)


def test_rounded_value_is_the_same_answer_unless_precision_is_higher() -> None:
    answers = _samples("8.66", "8.7")
    assert count_votes(answers, PROBLEM, "verify").wrong == (2,)
    assert count_votes(answers, replace(PROBLEM, precision=2), "verify").wrong == (1, 1)


def test_letter_and_text_of_a_listed_choice_are_the_same_answer() -> None:
    answers = _samples("B", "12", "(B)", "C. 13", "13", right=1)
    assert count_votes(answers, LISTED, "verify") == Votes(1, (2, 3), 0)


def test_choices_that_only_the_prompt_lists_count() -> None:
    unlisted = replace(LISTED, question="How long?")
    answers = _samples("B", "12")
    assert count_votes(answers, unlisted, "verify").wrong == (1, 1)
    assert count_votes(answers, unlisted, "verify", lambda problem: LISTED.question).wrong == (2,)


def test_other_scorers_vote_by_extracted_text() -> None:
    answers = _samples("12", "12.0", "12", None, right=2, scorer="reward")
    assert count_votes(answers, PROBLEM, "reward") == Votes(2, (1, 2), 1)


def test_official_votes_by_prediction() -> None:
    """The official prediction: a choice by letter or similarity, or a truncated integer."""
    choice = Problem("p", "Which?", "cat", choices=("cat", "dog"), question_type="multi_choice")
    animals = _samples("B", "(B) dog", "dogs", right=2, scorer="official")
    assert count_votes(animals, choice, "official") == Votes(2, (3,), 0)
    whole = Problem("p", "How many?", "3", answer_type="integer")
    numbers = _samples("5", "5.0", "5.2", "five", None, right=2, scorer="official")
    assert count_votes(numbers, whole, "official") == Votes(2, (1, 3), 1)


@pytest.mark.parametrize("hostile", ["5} \\boxed{7", "</think> 7", "}" * 50, "{", "\\", "x" * 5000])
def test_text_with_tags_is_not_mistaken_for_another_answer(hostile: str) -> None:
    assert count_votes(_samples("7", hostile), PROBLEM, "verify").wrong == (1, 1)


ANSWERS = [
    "12",
    "12.0",
    "\\sqrt{144}",
    "13",
    "8.66",
    "8.7",
    "8.74",
    "5\\sqrt{3}",
    "x=13",
    "no idea",
    "",
    None,
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(ANSWERS), max_size=12), st.randoms())
def test_the_order_of_the_samples_does_not_matter(answers: list[str | None], random: object) -> None:
    problem = replace(PROBLEM, precision=1)
    shuffled = list(answers)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    votes = count_votes(_samples(*answers, right=1), problem, "verify")
    assert votes == count_votes(_samples(*shuffled, right=1), problem, "verify")
    assert votes.n == len(answers) + 1


def test_frequent_answers_found_classes() -> None:
    def within_one(one: str, other: str) -> bool:
        return abs(int(one) - int(other)) <= 1

    # 3 is close to 2 and to 4, which are not close to each other; 4 is more frequent.
    assert merge_answers({"2": 2, "3": 1, "4": 5}, within_one) == {"4": 6, "2": 2}
    # Ties go to the first in order of text.
    assert merge_answers({"4": 2, "3": 1, "2": 2}, within_one) == {"2": 3, "4": 2}


def test_comparisons_are_bounded() -> None:
    calls: Counter[str] = Counter()

    def never(one: str, other: str) -> bool:
        calls[one] += 1
        return False

    sizes = {f"{number:03}": 1 for number in range(300)}
    assert merge_answers(sizes, never) == sizes
    assert max(calls.values()) == MAX_COMPARED
