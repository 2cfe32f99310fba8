"""A problem's responses as votes: which of them give the same answer."""

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

MAX_COMPARED = 32  # answers that another is compared with, the most frequent ones

Same = Callable[[str, str], bool]


def votes_of(
    samples: Sequence[Sample],
    problem: Problem,
    scorer: str,
    prompt: Callable[[Problem], str] | None = None,
) -> Votes:
    """The votes of one problem's samples, as `scorer` scored them.

    All right responses are one answer, whatever they look like. Wrong ones give the same answer where they
    extracted the same text; for `verify` also where the verifier, with one as the truth, calls the other
    right. Nothing extracted is no vote. `prompt`: the text shown for a problem, which may list choices that
    the question does not; a choice and its letter are then the same answer.
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
        return _verified(texts, problem, prompt)
    if scorer != OFFICIAL:
        return texts.values()
    # Its own normal form, the prediction: `A` and the text of choice A are one.
    predictions: Counter[str] = Counter()
    for text, count in texts.items():
        predictions[normalise(text, problem) or text] += count
    return predictions.values()


def _verified(
    texts: Mapping[str, int], problem: Problem, prompt: Callable[[Problem], str] | None
) -> Iterable[int]:
    """Responses of each answer: texts of one normal form together, then forms that verify as each other."""
    forms: dict[str, list[str]] = defaultdict(list)
    for text in texts:
        forms[as_text(text[:MAX_TEXT]) or text].append(text)
    sizes = {min(form): sum(texts[text] for text in form) for form in forms.values()}
    shown = replace(problem, question=prompt(problem)) if prompt else problem
    choices = problem.choices if lists_choices(shown) else None
    return merged(sizes, partial(_same, choices=choices, precision=problem.precision)).values()


def merged(sizes: Mapping[str, int], same: Same) -> dict[str, int]:
    """Sizes of the classes of answers that are the same, by the most frequent member of each.

    `same` need not be transitive (8.7 is 8.66 rounded, and 8.74 too), so the frequent ones decide: from the
    most frequent on, ties in order of the text, an answer joins the first class whose founder is the same. It
    is compared with the first MAX_COMPARED founders; what is the same as none of them stays apart. So the
    classes do not depend on the order of the samples, and d answers take at most MAX_COMPARED * d
    comparisons.
    """
    classes: dict[str, int] = {}
    founders: list[str] = []
    for text in sorted(sizes, key=lambda text: (-sizes[text], text)):
        home = next((founder for founder in founders if same(text, founder)), text)
        if home == text and len(founders) < MAX_COMPARED:
            founders.append(text)
        classes[home] = classes.get(home, 0) + sizes[text]
    return classes


def _same(one: str, other: str, choices: Sequence[str] | None, precision: int | None) -> bool:
    return _implies(one, other, choices, precision) or _implies(other, one, choices, precision)


def _implies(given: str, truth: str, choices: Sequence[str] | None, precision: int | None) -> bool:
    verdict = verify(f"\\boxed{{{given}}}", truth, choices=choices, precision=precision)
    # A text with marks or braces of its own may have made the verifier read another one.
    return verdict.correct and verdict.extracted == given
