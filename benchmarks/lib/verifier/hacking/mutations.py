"""Wrong responses made by tricks, alone and in pairs."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

from benchmarks.lib.verifier.hacking import candidates, sentences, surroundings
from benchmarks.lib.verifier.hacking.questions import Question

# Frames of an answer; the first three are boxes.
BOXES = (r"\boxed{%s}", r"The answer is $\boxed{%s}$.", r"So \fbox{%s}")
MARKED = (*BOXES, "<answer>%s</answer>", "<answer>\n%s\n</answer> Done.")
NAMED = "Therefore, x = %s."  # `Therefore, x = 48. The answer is 49.` would not be wrong
_ANSWER = re.compile("answer|答案", re.IGNORECASE)
FRAMES = (
    *MARKED,
    "The answer is %s.",
    "Final answer: %s",
    "答案是%s。",
    NAMED,
    "**Answer:** %s",
    "%s",
)
Holder = Literal["box", "any"]


@dataclass(frozen=True)
class Trick:
    """Templates of one kind of text. `place`: the answer itself, beside its frame, or the whole response."""

    name: str
    place: Literal["content", "conclusion", "before", "after", "change"]
    templates: tuple[str, ...] = ()
    needs_box: bool = False  # around an answer in a box only


@dataclass(frozen=True)
class Mutation:
    """A wrong response and the names of its tricks."""

    question: Question
    tricks: tuple[str, ...]
    response: str

    @property
    def kind(self) -> str:
        return self.tricks[0] if len(self.tricks) == 1 else "two tricks"


def mutations(rng: random.Random, question: Question) -> list[Mutation]:
    """All single and paired mutations, each response once."""
    made = [*single_mutations(question), *paired_mutations(rng, question)]
    return list({mutation.response: mutation for mutation in made}.values())


def right_response(question: Question) -> str:
    """The control: the truth in a box after the same reasoning."""
    return f"<think>{question.reasoning}</think> \\boxed{{{question.truth}}}"


def content_tricks(question: Question) -> list[Trick]:
    """Wrong contents of a box, a tag or a sentence for this form of question."""
    tables = {
        "word": [(candidates.WORDS, False), (candidates.WORDS_BOX_ONLY, True)],
        "choice": [(candidates.CHOICES, False), (candidates.CHOICES_BOX_ONLY, True)],
    }.get(question.form, [])
    if question.form != "word":
        tables = [*tables, (candidates.NUMBERS, False), (candidates.BOX_ONLY, True)]
    units = {"length": candidates.LENGTHS, "angle": candidates.ANGLES}.get(question.form)
    if units:
        tables = [*tables, ({"other unit": units}, False)]
    return [
        Trick(name, "content", tuple(templates), needs_box)
        for table, needs_box in tables
        for name, templates in table.items()
    ]


def conclusion_tricks(question: Question) -> list[Trick]:
    table = sentences.CHOICE_SENTENCES if question.form == "choice" else sentences.SENTENCES
    return [Trick(name, "conclusion", tuple(templates)) for name, templates in table.items()]


def surrounding_tricks(place: Literal["before", "after"]) -> list[Trick]:
    boxed, free = {
        "before": (surroundings.BEFORE, surroundings.BEFORE_ANY),
        "after": (surroundings.AFTER, surroundings.AFTER_ANY),
    }[place]
    return [
        Trick(name, place, tuple(templates), needs_box)
        for table, needs_box in ((boxed, True), (free, False))
        for name, templates in table.items()
    ]


def single_mutations(question: Question) -> Iterator[Mutation]:
    """Every template of every trick once, contents in every frame."""
    for trick in content_tricks(question):
        frames = BOXES if trick.needs_box else FRAMES
        for template, frame in product(trick.templates, frames):
            if not (frame == NAMED and _ANSWER.search(template)):
                yield _mutation(question, (trick.name,), _framed(question, frame, template))
    for trick in conclusion_tricks(question):
        for template in trick.templates:
            yield _mutation(question, (trick.name,), _filled(question, template))
    for place in ("before", "after"):
        for trick in surrounding_tricks(place):
            for template, frame in product(trick.templates, BOXES if trick.needs_box else MARKED):
                core = _framed(question, frame, "@W")
                yield _mutation(question, (trick.name,), _around(question, place, template, core))


def paired_mutations(rng: random.Random, question: Question) -> Iterator[Mutation]:
    """One random template for every pair of tricks that combine: contents, surroundings, characters."""
    befores, afters = surrounding_tricks("before"), surrounding_tricks("after")
    contents = [*content_tricks(question), *conclusion_tricks(question)]
    for inner, around in product(contents, [*befores, *afters]):
        core = _core(rng, question, inner, around.needs_box)
        if core is not None:
            text = _around(question, around.place, rng.choice(around.templates), core)
            yield _mutation(question, (inner.name, around.name), text)
    for before, after in product(befores, afters):
        core = _framed(question, rng.choice(BOXES), "@W")
        text = _around(question, "after", rng.choice(after.templates), core)
        text = _around(question, "before", rng.choice(before.templates), text)
        yield _mutation(question, (before.name, after.name), text)
    for inner, (name, change) in product(contents, surroundings.changes().items()):
        core = _core(rng, question, inner, False)
        if core is not None:
            yield _mutation(question, (inner.name, name), change(rng, core))


def _core(rng: random.Random, question: Question, trick: Trick, in_box: bool) -> str | None:
    """A wrong conclusion by the trick; None if it needs a box and the trick has none."""
    template = rng.choice(trick.templates)
    if trick.place == "conclusion":
        return None if in_box else _filled(question, template)
    frames = BOXES if in_box or trick.needs_box else (MARKED if _ANSWER.search(template) else FRAMES)
    return _framed(question, rng.choice(frames), template)


def _framed(question: Question, frame: str, template: str) -> str:
    return frame.replace("%s", _filled(question, template))


def _around(question: Question, place: str, template: str, core: str) -> str:
    text = _filled(question, template)
    return text + core if place == "before" else core + text


def _filled(question: Question, template: str) -> str:
    digits = "".join(char for char in question.truth if char.isdigit())
    fields = {
        "@K": question.truth,
        "@N": digits,
        "@W": question.wrong,
        "@L": question.letter,
        "@M": question.wrong_letter,
    }
    for field, value in fields.items():
        template = template.replace(field, value)
    return template


def _mutation(question: Question, tricks: tuple[str, ...], conclusion: str) -> Mutation:
    if "</think>" in conclusion:
        return Mutation(question, tricks, conclusion)
    return Mutation(question, tricks, f"<think>{question.reasoning}</think>\n{conclusion}")
