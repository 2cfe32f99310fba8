"""Answers are classified by notation, not by value."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_uec.data.answer_form import ANSWER_FORMS, answer_form

GEOMETRY3K = Path(__file__).parents[2].parent / "shared" / "data" / "geometry3k"


@pytest.mark.parametrize(
    ("form", "answers"),
    [
        ("whole number", ["7", "-7", "- 8", "+3", "1,234", "007", "$12$", "−5", r"\boxed{4}"]),
        ("decimal", ["2.5", ".5", "-0.25", "9852.0", "1,234.5"]),
        (
            "fraction",
            [r"\frac { 2 } { 5 }", r"-\frac{2}{5}", r"\dfrac12", "40 / 3", "½", r"\frac { 4 } { 2 }"],
        ),
        ("root", [r"\sqrt { 5 }", "√5", r"\sqrt[3]{2}", "sqrt(5)", r"-\sqrt 2"]),
        (
            "multiple of a root",
            [r"3 \sqrt { 3 }", r"6 \sqrt 2", "3√3", r"2\cdot\sqrt{3}", r"9.6 \sqrt { 2 }"],
        ),
        ("multiple of pi", [r"14 \pi", "14π", r"\pi", r"4.6 \pi", r"- 2 \pi"]),
        ("ratio", ["2:3", "1 : 2 : 3", r"\frac { \sqrt 3 } { 4 } : 1"]),
        (
            "compound number",
            [
                r"64 - 16 \pi",
                r"\frac { 15 \sqrt { 2 } } { 2 }",
                r"4 \frac { 4 } { 11 }",
                r"\frac { \pi } { 4 }",
            ],
        ),
        ("number with a unit", ["40°", r"40^\circ", "6cm", r"4\pi cm", "6 cm^2", "50%"]),
        ("text", ["yes", "B", "(b)", "not enough information", "A D and B E", "3 main veins", "等于"]),
        (
            "other",
            ["", "x < 60", "a + b = 90", "20 y^2 - 10 y", r"\angle 8 \cong \angle 2", "[0, 2]", "x7", "?"],
        ),
    ],
)
def test_forms(form: str, answers: list[str]) -> None:
    assert {answer: answer_form(answer) for answer in answers} == dict.fromkeys(answers, form)


@pytest.mark.skipif(not (GEOMETRY3K / "test.jsonl").is_file(), reason="Geometry3K is not available")
def test_geometry3k_counts_equal_its_readme() -> None:
    """The readme counts spellings: twelve of its "others" are alternative spellings of the six forms."""
    lines = [
        line
        for split in ("train", "val", "test")
        for line in (GEOMETRY3K / f"{split}.jsonl").open(encoding="utf-8")
    ]
    answers = [json.loads(line)["answer"] for line in lines]
    readme_counts = {
        "whole number": 2080,
        "decimal": 603,
        "multiple of a root": 153,
        "fraction": 49,
        "root": 31,
        "multiple of pi": 17,
    }
    alternative_spellings = {
        "whole number": ["- 8", "- 1"],
        "fraction": ["40 / 3"],
        "multiple of a root": [
            rf"{n} \sqrt {m}" for n, m in [(3, 2), (4, 2), (4, 6), (6, 3), (7, 3), (15, 3), (108, 3)]
        ]
        + [r"6 \sqrt 2"] * 2,
    }
    for spellings in alternative_spellings.values():
        for spelling in set(spellings):
            assert answers.count(spelling) == spellings.count(spelling)
    found = Counter(map(answer_form, answers))
    moved = {form: len(spellings) for form, spellings in alternative_spellings.items()}
    assert {form: found[form] - moved.get(form, 0) for form in readme_counts} == readme_counts
    assert len(answers) - sum(readme_counts.values()) == 69
    assert sum(found[form] for form in ANSWER_FORMS if form not in readme_counts) == 69 - sum(moved.values())


@given(st.text() | st.text("0123456789.,:/^+-*(){}[]<= \\sqrtfacpi°cmπ√"))
def test_every_text_has_a_form(answer: str) -> None:
    assert answer_form(answer) in ANSWER_FORMS
    assert answer_form(f"  {answer}\n") == answer_form(answer)


def test_long_answers_are_classified_quickly() -> None:
    pieces = ["1", "1,", "(", "{", "-", r"\sqrt[", r"\frac{", "1:", "1 m", "°", " ", r"\pi ", "a1", "1,234"]
    started = time.monotonic()
    for piece in pieces:
        answer_form(piece * 20_000 + "!")
    assert time.monotonic() - started < 5
