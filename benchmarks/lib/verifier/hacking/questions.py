"""Questions with a truth and a wrong answer of the same form, generated or from recorded responses."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.lib.verifier.recorded import json_lines, recorded_rows
from vlm_uec.verifier import verify
from vlm_uec.verifier.extract import THINK_END, extract

Form = Literal["integer", "decimal", "exact", "angle", "length", "word", "choice"]
LETTERS = "ABCD"
REASONING = (
    "The two triangles are similar, so the ratios of their sides are equal.",
    "By the Pythagorean theorem the square of the hypotenuse is the sum of the squares of the legs.",
    "由相似三角形可知，对应边成比例。",
    "First I list the known sides and angles. Then I use that the angles of a triangle sum to 180 degrees.",
)
_WORDS = ("sphere", "cube", "prism", "Yes", "No", "rectangle", "kite", "pyramid")
_SURDS = (2, 3, 5, 6, 7, 10, 11)


@dataclass(frozen=True)
class Question:
    """A question, its truth, and the wrong answer that a response gives.

    `choices`: as listed by the prompt, () if it lists none. `letter`, `wrong_letter`: of truth and wrong.
    """

    form: Form
    text: str
    truth: str
    wrong: str
    reasoning: str
    choices: tuple[str, ...] = ()
    letter: str = ""
    wrong_letter: str = ""

    @property
    def is_number(self) -> bool:
        return self.form not in ("word", "choice")

    def earns(self, response: str) -> bool:
        return verify(response, self.truth, choices=self.choices).correct


def generated_questions(rng: random.Random, count: int) -> list[Question]:
    """`count` questions, alternating over the forms."""
    forms: Sequence[Form] = ("integer", "decimal", "exact", "angle", "length", "word", "choice")
    return [_generated(rng, forms[number % len(forms)]) for number in range(count)]


def recorded_questions(data: Path) -> list[Question]:
    """Geometry3K problems with a wrong response of Qwen2.5-VL-7B: wrong as recorded and for the verifier.

    The reasoning is the response's thinking, and the wrong answer is its own.
    """
    problems = {row["id"]: row["problem"] for row in json_lines(data / "geometry3k" / "test.jsonl")}
    questions = []
    for row in recorded_rows(data):
        thinking, end, _ = row["response"].rpartition(THINK_END)
        found = extract(row["response"].replace(THINK_END, ""))
        if row["right"] or not end or found is None or verify(row["response"], row["answer"]).correct:
            continue
        if not (found.text.isdecimal() and row["answer"].isdecimal() and len(row["answer"]) > 1):
            continue
        questions.append(
            Question(
                "integer",
                problems[row["id"]],
                row["answer"],
                found.text,
                thinking.replace("<think>", "").strip(),
            )
        )
    return questions


def _generated(rng: random.Random, form: Form) -> Question:
    truth, wrong = _pair(rng, "integer" if form == "choice" else form)
    reasoning = rng.choice(REASONING)
    text = f"In the figure, AB = {rng.randint(2, 99)} and BC = {rng.randint(2, 99)}. Find x."
    if form != "choice":
        return Question(form, text, truth, wrong, reasoning)
    first = int(truth)
    choices = [truth, wrong, str(first + 201), str(first + 307)]
    rng.shuffle(choices)
    listed = "\n".join(f"({letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=True))
    letter, wrong_letter = (LETTERS[choices.index(value)] for value in (truth, wrong))
    return Question(
        form, f"{text}\nChoices:\n{listed}", truth, wrong, reasoning, tuple(choices), letter, wrong_letter
    )


def _pair(rng: random.Random, form: Form) -> tuple[str, str]:
    """A truth and a wrong answer of the form. Whole numbers have two or three digits, no palindromes."""
    if form == "word":
        truth, wrong = rng.sample(_WORDS, 2)
        return truth, wrong
    if form == "exact":
        return _exact_pair(rng)
    number = rng.choice([n for n in range(12, 180) if str(n) != str(n)[::-1]])
    other = number + rng.choice([-2, -1, 1, 2, 3, 5, 10, 200])
    if form == "decimal":
        return f"{number / 10:.1f}", f"{other / 10:.1f}"
    unit = {"integer": "", "angle": r" ^ \circ", "length": "cm"}[form]
    return f"{number}{unit}", f"{other}{unit}"


def _exact_pair(rng: random.Random) -> tuple[str, str]:
    first = rng.randint(2, 19)
    second = rng.choice([n for n in range(2, 20) if n not in (first, 2 * first)])  # W - K must not be K
    surd = rng.choice(_SURDS)
    return rng.choice(
        [
            (rf"{first} \sqrt {{ {surd} }}", rf"{second} \sqrt {{ {surd} }}"),
            (rf"{first} \pi", rf"{second} \pi"),
            (rf"\frac {{ {first} }} {{ 23 }}", rf"\frac {{ {second} }} {{ 23 }}"),
        ]
    )
