from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.official_file import official_records
from eval.responses import read_extractions, read_responses
from eval.samples import Sample
from eval.scorers import make_scorers, score_response
from vlm_uec.types import Problem

COLOUR = Problem(
    "mathvista-7", "<image>Hint: …\nChoices:\n(A) red\n(B) blue", "blue", choices=("red", "blue"),
    question_type="multi_choice", source="mathvista",
    metadata={"task": "figure question answering", "pid": "7", "unit": None, "picture": "images/7.jpg"},
)  # fmt: skip
LENGTH = Problem(
    "mathvista-8", "<image>How long?", "1.2", precision=1, answer_type="float", source="mathvista",
    metadata={"task": "geometry problem solving", "pid": "8", "unit": "cm", "picture": "images/8.jpg"},
)  # fmt: skip
PROBLEMS = {problem.id: problem for problem in (COLOUR, LENGTH)}


def _samples() -> list[Sample]:
    scorers = make_scorers(PROBLEMS.values(), None, None)
    texts = {"mathvista-7": ["\\boxed{B}", "\\boxed{A}"], "mathvista-8": ["\\boxed{1.26}", "\\boxed{1.2}"]}
    return [
        Sample(name, index, text, 5, False, score_response(scorers, text, PROBLEMS[name]))
        for name, row in texts.items()
        for index, text in enumerate(row)
    ]


def test_first_response_in_the_official_format() -> None:
    records = official_records(PROBLEMS, _samples())
    assert records["7"] == {
        "pid": "7", "query": "Hint: …\nChoices:\n(A) red\n(B) blue", "choices": ["red", "blue"], "unit": None,
        "precision": None, "answer": "blue", "question_type": "multi_choice", "answer_type": "text",
        "metadata": {"task": "figure question answering"}, "response": "\\boxed{B}",
        "extraction": "B", "prediction": "blue", "true_false": True,
    }  # fmt: skip
    assert (records["8"]["prediction"], records["8"]["true_false"]) == ("1.3", False)
    assert (records["8"]["unit"], records["8"]["choices"]) == ("cm", None)


def test_no_records_for_other_data() -> None:
    problem = Problem("g", "?", "1", source="geometry3k")
    scorers = make_scorers([problem], None, None)
    assert (
        official_records({"g": problem}, [Sample("g", 0, "", 1, False, score_response(scorers, "", problem))])
        == {}
    )


def test_records_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "mathvista_output.json"
    path.write_text(json.dumps(official_records(PROBLEMS, _samples())), encoding="utf-8")
    assert [(given.problem_id, given.text) for given in read_responses(path)] == [
        ("mathvista-7", "\\boxed{B}"),
        ("mathvista-8", "\\boxed{1.26}"),
    ]
    found = {name: (given.text, given.response) for name, given in read_extractions(path).items()}
    assert found == {"mathvista-7": ("B", "\\boxed{B}"), "mathvista-8": ("1.26", "\\boxed{1.26}")}


SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "mathvista" / "results"


def test_records_have_the_fields_of_a_published_result() -> None:
    if not SHARED.is_dir():
        pytest.skip("needs MathVista's results beside the repository")
    published = json.loads((SHARED / "output_bard.json").read_text(encoding="utf-8"))
    ours = official_records(PROBLEMS, _samples())["7"]
    # The scripts do not read the other fields: `query` contains the question, and `error` is an API error.
    assert set(published["1"]) - set(ours) == {"question", "image", "error"}
    assert set(ours) <= set(published["1"])
