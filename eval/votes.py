"""Votes of a problem's responses: groups of responses that give the same answer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from eval.estimators import Votes
from eval.mathvista import normalise
from eval.samples import OFFICIAL, VERIFY, Sample
from vlm_uec.rewards import lists_choices
from vlm_uec.types import Problem
from vlm_uec.verifier import verify
from vlm_uec.verifier.normalise import MAX_TEXT, as_text

MAX_COMPARED = 32  # most frequent answers that each other answer is compared with

SameAnswer = Callable[[str, str], bool]


def count_votes(
    samples: Sequence[Sample],
    problem: Problem,
    scorer: str,
    prompt: Callable[[Problem], str] | None = None,
) -> Votes:
    """The votes of one problem's samples by `scorer`.

    All correct responses count as one answer. Wrong responses give the same answer if their extracted texts
    are equal; for `verify` also if the verifier accepts one with the other as the truth. A response without
    an extracted answer does not vote. `prompt`: the prompt text of a problem, which may list choices that the
    question does not; a choice and its letter are then the same answer.
    """
    scores = [sample.scores[scorer] for sample in samples]
    wrong = [(score.extracted or "").strip() for score in scores if not score.correct]
    texts = Counter(filter(None, wrong))
    counts = _counts(texts, problem, scorer, prompt)
    right = sum(score.correct for score in scores)
    return Votes(right, tuple(sorted(counts)), len(scores) - right - texts.total())


def _counts(
    texts: Mapping[str, int], problem: Problem, scorer: str, prompt: Callable[[Problem], str] | None
) -> Iterable[int]:
    if scorer == VERIFY:
        return _verified_counts(texts, problem, prompt)
    if scorer != OFFICIAL:
        return texts.values()
    # The prediction is the normal form: `A` and the text of choice A are the same answer.
    predictions: Counter[str] = Counter()
    for text, count in texts.items():
        predictions[normalise(text, problem) or text] += count
    return predictions.values()


def _verified_counts(
    texts: Mapping[str, int], problem: Problem, prompt: Callable[[Problem], str] | None
) -> Iterable[int]:
    """Responses per answer: equal normal forms are merged first, then forms that verify as equal."""
    forms: dict[str, list[str]] = defaultdict(list)
    for text in texts:
        forms[as_text(text[:MAX_TEXT]) or text].append(text)
    sizes = {min(form): sum(texts[text] for text in form) for form in forms.values()}
    shown = replace(problem, question=prompt(problem)) if prompt else problem
    choices = problem.choices if lists_choices(shown) else None
    return merge_answers(
        sizes, partial(_is_same_answer, choices=choices, precision=problem.precision)
    ).values()


def merge_answers(sizes: Mapping[str, int], same: SameAnswer) -> dict[str, int]:
    """Sizes of the classes of equal answers, keyed by the most frequent answer of each class.

    `same` need not be transitive (8.66 and 8.74 both round to 8.7). Answers are therefore processed by
    descending frequency, ties in order of their text. An answer joins the first class whose founder is the
    same; it is compared with the first MAX_COMPARED founders and otherwise forms a class of its own. The
    classes do not depend on the order of the samples, and d answers need at most MAX_COMPARED * d
    comparisons.
    """
    classes: dict[str, int] = {}
    founders: list[str] = []
    for text in sorted(sizes, key=lambda text: (-sizes[text], text)):
        founder = next((other for other in founders if same(text, other)), text)
        if founder == text and len(founders) < MAX_COMPARED:
            founders.append(text)
        classes[founder] = classes.get(founder, 0) + sizes[text]
    return classes


def _is_same_answer(one: str, other: str, choices: Sequence[str] | None, precision: int | None) -> bool:
    return _accepts(one, other, choices, precision) or _accepts(other, one, choices, precision)


def _accepts(answer: str, truth: str, choices: Sequence[str] | None, precision: int | None) -> bool:
    verdict = verify(f"\\boxed{{{answer}}}", truth, choices=choices, precision=precision)
    # The verifier may have extracted something else from a text with tags or braces.
    return verdict.correct and verdict.extracted == answer
