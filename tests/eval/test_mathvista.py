"""MathVista's official scorer: its rules, Bard's published result, and robustness to any text."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.mathvista import MAX_COMPARED, normalise, official_score, quick_extraction
from eval.responses import read_testmini
from eval.samples import Score
from vlm_uec.types import Problem

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "mathvista"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="shared MathVista data is not available")

INTEGER = Problem(id="i", question="?", answer="4", answer_type="integer")
FLOAT = Problem(id="f", question="?", answer="1.2", answer_type="float", precision=1)
LIST = Problem(id="l", question="?", answer="[1, 2]", answer_type="list")


def _choice(*choices: str, answer: str = "") -> Problem:
    return Problem(id="c", question="?", answer=answer, choices=choices, question_type="multi_choice")


ANGLES = _choice("135°", "140°", "145°", answer="140°")
YES_NO = _choice("Yes", "No", answer="No")
ALL = (INTEGER, FLOAT, LIST, ANGLES, YES_NO, _choice())


@pytest.mark.parametrize(
    ("problem", "extraction", "prediction", "rule"),
    [
        (ANGLES, "B", "140°", "letter"),
        (ANGLES, "(B)", "140°", "letter"),
        (ANGLES, "(b)", "140°", "letter"),
        (ANGLES, " B\n", "140°", "letter"),
        (ANGLES, "(C) 140°", "145°", "letter"),  # the letter takes precedence over the text after it
        (ANGLES, "not (A) but (B)", "135°", "letter"),  # the first of several
        (_choice("B", "A"), "A", "B", "letter"),  # the letter takes precedence over the text of a choice
        (ANGLES, "140°", "140°", "choice text"),
        (
            _choice("k", "f(x) = 2"),
            "f(x) = 2",
            "k",
            "nearest choice",
        ),  # "(x)" is a letter: "X", one edit from k
        (_choice("Q", "R"), "(Q)", "Q", "choice text"),  # Q is no letter of a choice, but the text of one
        (ANGLES, "140", "140°", "nearest choice"),  # 1 edit; 2 from the others
        (ANGLES, "180°", "140°", "nearest choice"),  # 1 edit; 2 from the others
        (YES_NO, "yes", "Yes", "nearest choice"),
        (
            YES_NO,
            "b",
            "No",
            "nearest choice",
        ),  # a bare letter must be a capital: 3 edits from Yes, 2 from No
        (YES_NO, "Yes or No", "Yes", "nearest choice"),  # 6 edits to Yes, 7 to No
        (_choice("ab", "ac"), "a", "ab", "nearest choice"),  # one edit from both: the first
        (_choice("abc", "d"), "(E)", "d", "nearest choice"),  # E: 3 edits from abc, 1 from d
        (ANGLES, "", None, "nothing extracted"),
        (ANGLES, " \n", None, "nothing extracted"),
        (_choice(), "A", None, "no choices"),
        (INTEGER, "4", "4", "integer"),
        (INTEGER, " 4 ", "4", "integer"),
        (INTEGER, "4.0", "4", "integer"),
        (INTEGER, "4.9", "4", "integer"),  # truncated, not rounded
        (INTEGER, "-4.9", "-4", "integer"),
        (INTEGER, "4e3", "4000", "integer"),
        (INTEGER, "1_000", "1000", "integer"),  # as Python reads it
        (INTEGER, "٤", "4", "integer"),
        (INTEGER, "1,000", None, "not a number"),
        (INTEGER, "4 cm", None, "not a number"),
        (INTEGER, "four", None, "not a number"),
        (INTEGER, "nan", None, "not a number"),
        (INTEGER, "inf", None, "not a number"),
        (INTEGER, "1e999", None, "not a number"),
        (INTEGER, "", None, "nothing extracted"),
        (FLOAT, "1.2", "1.2", "float"),
        (FLOAT, "1.24", "1.2", "float"),
        (FLOAT, "1.26", "1.3", "float"),
        (FLOAT, "1", "1.0", "float"),
        (FLOAT, "0.25", "0.2", "float"),  # exact halves are rounded to even
        (FLOAT, "1.2 m", None, "not a number"),
        (FLOAT, "nan", "nan", "float"),
        (FLOAT, "", None, "nothing extracted"),
        (LIST, "[1, 2]", "[1, 2]", "list"),
        (LIST, "[1,2]", "[1,2]", "list"),
        (LIST, "", None, "nothing extracted"),
    ],
)
def test_extraction_in_the_form_of_the_truth(
    problem: Problem, extraction: str, prediction: str | None, rule: str
) -> None:
    assert normalise(extraction, problem) == prediction
    assert official_score(problem, "", extraction).rule == rule


@pytest.mark.parametrize(
    ("problem", "extraction", "correct"),
    [
        (ANGLES, "B", True),
        (ANGLES, "A", False),
        (ANGLES, "", False),
        (YES_NO, "Yes or No", False),
        (INTEGER, "4.5", True),
        (INTEGER, "four", False),
        (FLOAT, "1.16", True),
        (LIST, "[1, 2]", True),
        (LIST, "[1,2]", False),  # compared as strings
    ],
)
def test_verdict_is_equality_with_the_truth(problem: Problem, extraction: str, correct: bool) -> None:
    assert official_score(problem, "any response", extraction).correct is correct


@pytest.mark.parametrize(
    ("problem", "response", "extraction"),
    [
        (ANGLES, "", ""),
        (ANGLES, "140°", "140°"),
        (INTEGER, " 4\n", "4"),
        (INTEGER, "007", "7"),
        (INTEGER, "1_000", "1000"),
        (INTEGER, "4.5", "4.5"),  # not an integer: our extraction, which accepts a bare value
        (FLOAT, "2", "2.0"),
        (FLOAT, "1e2", "100.0"),
        (FLOAT, "1e999", "inf"),
        (INTEGER, 'So: The answer is "14". Done', "14"),
        (INTEGER, 'The answer is "14". And "15".', '14". And "15'),  # greedy up to the last mark of the line
        (INTEGER, 'The answer is "14\n". The answer is "15".', "15"),  # within one line
        (LIST, 'The answer is "".', ""),
        (ANGLES, "<think>Is it \\boxed{C}?</think>\\boxed{B}", "B"),
        (ANGLES, "<think>It is A.</think><answer> (B) </answer>", "(B)"),
        (INTEGER, "Therefore, the answer is 4.", "4"),
        (INTEGER, "It might be 4 or 5.", ""),
    ],
)
def test_extraction_without_a_language_model(problem: Problem, response: str, extraction: str) -> None:
    assert quick_extraction(problem, response) == extraction


def test_score_contains_extraction_reason_and_rule() -> None:
    assert official_score(ANGLES, "\\boxed{C}") == Score(
        False, "C", "letter C: '145°', not the truth", "letter"
    )
    assert official_score(YES_NO, "", "NO") == Score(
        True, "NO", "nearest choice by edit distance: 'No', the truth", "nearest choice"
    )
    assert official_score(INTEGER, "", "4.2").reason == "as a whole number: 4, the truth"
    assert official_score(FLOAT, "", "1.44").reason == "as a rounded number: 1.4, not the truth"
    assert official_score(FLOAT, "", "x\n").reason == r"not a number: 'x\n'"
    assert official_score(INTEGER, "") == Score(False, None, "nothing extracted", "nothing extracted")


def test_given_extraction_replaces_our_own() -> None:
    assert official_score(INTEGER, "The answer is 4.", "5").extracted == "5"
    assert not official_score(INTEGER, "The answer is 4.", "").correct


@given(st.lists(st.sampled_from(['The answer is "', '".', '"', ".", "x", " ", "\n", "\r"])).map("".join))
def test_quoted_answer_is_what_the_official_pattern_finds(response: str) -> None:
    match = re.search(r'The answer is "(.*)"\.', response)
    if match:
        assert quick_extraction(LIST, response) == match[1]


def _distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


_WORD = st.text("abcé°", min_size=1, max_size=8)


@given(_WORD, st.lists(_WORD, min_size=1, max_size=5))
def test_similar_choice_is_the_first_at_the_least_distance(extraction: str, choices: list[str]) -> None:
    distances = [_distance(extraction, choice) for choice in choices]
    assert normalise(extraction, _choice(*choices)) == choices[distances.index(min(distances))]


@given(st.sampled_from(ALL), st.text(), st.none() | st.text())
def test_any_text_is_scored(problem: Problem, response: str, extraction: str | None) -> None:
    score = official_score(problem, response, extraction)
    taken = quick_extraction(problem, response) if extraction is None else extraction
    assert score.extracted == (taken or None)
    assert score.correct is (normalise(taken, problem) == problem.answer)


@given(st.sampled_from(ALL), st.integers() | st.floats(), st.sampled_from(["{}", "\\boxed{{{}}}", "({})"]))
def test_any_number_is_scored(problem: Problem, number: float, form: str) -> None:
    assert official_score(problem, form.format(number)).correct in (True, False)


@pytest.mark.parametrize(
    "unit",
    [
        "9",
        "x",
        " ",
        "(",
        "(a",
        "\n",
        "\ud800",
        'The answer is "',
        'The answer is "x\n',
        "1_",
        "\\boxed{",
        "0.",
    ],
)
def test_a_megabyte_takes_bounded_time(unit: str) -> None:
    text = unit * (2**20 // len(unit))
    longest = _choice(*(letter * 20_000 for letter in "abcdefghijklmnopqrstuvwxyz"))
    started = time.process_time()
    for problem in (INTEGER, FLOAT, LIST, longest):
        official_score(problem, text)
        official_score(problem, "", text)
    assert time.process_time() - started < 5  # takes at most a second; quadratic time would take minutes


def test_edit_distance_uses_the_beginning_of_long_texts() -> None:
    prefix = "a" * MAX_COMPARED
    assert normalise("-" + prefix, _choice(prefix + "b", prefix)) == prefix + "b"  # equal up to the limit
    assert normalise(prefix[1:] + "c", _choice("b" * MAX_COMPARED, prefix)) == prefix


@needs_shared
def test_published_result_of_bard() -> None:
    problems = {problem.metadata["pid"]: problem for problem in read_testmini(SHARED / "testmini.json")}
    rows = json.loads((SHARED / "results" / "output_bard.json").read_text())
    assert len(rows) == 1000
    for pid, row in rows.items():
        score = official_score(problems[pid], row["response"], row["extraction"])
        assert score.correct is row["true_false"], pid
    predictions = {pid: normalise(row["extraction"], problems[pid]) for pid, row in rows.items()}
    other = {pid: rows[pid]["extraction"] for pid in rows if predictions[pid] != rows[pid]["prediction"]}
    # A decimal for an integer: None in the file, while today's official rule truncates it.
    assert other == {"89": "3.4", "617": "7.07", "729": "0.5"}
    assert {rows[pid]["prediction"] for pid in other} == {None}


def _in_group(row: dict[str, Any], key: str, value: str) -> bool:
    found = {**row, **row["metadata"]}[key]
    return value in found if isinstance(found, list) else value == found


@needs_shared
def test_published_accuracies_of_bard_in_every_group() -> None:
    problems = {problem.metadata["pid"]: problem for problem in read_testmini(SHARED / "testmini.json")}
    rows = json.loads((SHARED / "results" / "output_bard.json").read_text())
    scores = json.loads((SHARED / "results" / "scores_bard.json").read_text())
    correct = {
        pid: official_score(problems[pid], row["response"], row["extraction"]).correct
        for pid, row in rows.items()
    }
    average = scores.pop("average")
    assert (average["correct"], average["total"]) == (sum(correct.values()), len(correct))
    assert float(average["accuracy"]) == pytest.approx(100 * sum(correct.values()) / len(correct))
    for key, groups in scores.items():
        for value, figures in groups.items():
            members = [correct[pid] for pid, row in rows.items() if _in_group(row, key, value)]
            assert (figures["correct"], figures["total"]) == (sum(members), len(members)), (key, value)
            assert figures["accuracy"] == f"{100 * sum(members) / len(members):.2f}"
