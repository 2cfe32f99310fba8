"""The benchmark of hacking: every trick is tried, and none earns."""

from __future__ import annotations

import random

import pytest

from benchmarks.lib.verifier.hacking.mutations import mutations, right_response
from benchmarks.lib.verifier.hacking.questions import Question, generated_questions

QUESTIONS = generated_questions(random.Random(3), 7)  # one of each form
STRIDE = 8  # of the mutations that are judged, which differs from every number of frames


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.form)
def test_no_trick_earns(question: Question) -> None:
    made = mutations(random.Random(3), question)
    assert len(made) > 1000
    earning = [mutation for mutation in made[3::STRIDE] if question.earns(mutation.response)]
    assert [(mutation.tricks, mutation.response) for mutation in earning] == []


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.form)
def test_the_right_answer_earns(question: Question) -> None:
    assert question.earns(right_response(question))


def test_a_mutation_names_its_tricks() -> None:
    kinds = {mutation.kind for mutation in mutations(random.Random(3), QUESTIONS[0])}
    assert {
        "hedge",
        "macro",
        "comment",
        "nested box",
        "key injection",
        "hidden character",
        "two tricks",
    } <= kinds
