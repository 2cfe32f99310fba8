"""mathruler reproduces the published scores of real responses, and the guard changes none of its verdicts."""

from __future__ import annotations

import pytest

from benchmarks.lib.launching import ROOT
from benchmarks.lib.verifier.recorded import json_lines, recorded_responses, recorded_rows
from benchmarks.lib.verifier.recorded_scores import FORMAT, format_part, quoted_problem, reproduced
from vlm_uec.mathruler.client import shared_grader

DATA = ROOT.parent / "shared" / "data"
PROBLEMS = {
    1: {"problem": "Find the area of the triangle."},
    2: {"problem": "Find the area of the triangle. Round to the nearest tenth."},
    3: {"problem": "Find x."},
    4: {"problem": "Find the length of \\overline { A B } if x = 4."},
    5: {"problem": "Find the length of A B if x = 4."},
}
needs_data = pytest.mark.skipif(
    not (DATA / "geometry3k" / "model_outputs").exists(), reason="the data are not next to this checkout"
)


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        ("We must find the area of the triangle; round to the nearest tenth:", 2),
        ("Find the area of the triangle!", 1),
        ("Find x.", None),  # too short
        ("Find the length of AB if x=4.", None),  # two problems
    ],
)
def test_a_quoted_question_names_the_problem(response: str, problem: int | None) -> None:
    assert quoted_problem(response, PROBLEMS) == problem


@needs_data
def test_the_format_part_of_every_recorded_score() -> None:
    responses = recorded_responses(DATA).values()
    assert len(responses) == 601
    assert all(format_part(row["score"]) == bool(FORMAT.fullmatch(row["response"])) for row in responses)


@needs_data
def test_the_recorded_score_of_every_known_problem() -> None:
    pytest.importorskip("mathruler")
    rows = recorded_rows(DATA)
    assert len(rows) == 329
    assert [row["row"] for row in rows if reproduced(row, shared_grader()) != round(row["score"], 6)] == []


@needs_data
def test_the_guard_changes_no_verdict_on_real_boxes() -> None:
    """Every box with the answers of twelve problems, of every form: mathruler called directly agrees."""
    pytest.importorskip("mathruler")
    from mathruler.grader import extract_boxed_content, grade_answer

    forms = {"".join(c for c in p["answer"] if not c.isdigit()): p["answer"] for p in _test_problems()}
    boxes = sorted({extract_boxed_content(row["response"]) for row in recorded_responses(DATA).values()})
    pairs = [(box, truth) for box in boxes[::7] for truth in sorted(forms.values())[:12]]
    different = [
        (box, truth)
        for box, truth in pairs
        if shared_grader().grade(f"\\boxed{{{box}}}", truth).correct != grade_answer(box, truth)
    ]
    assert different == []


def _test_problems() -> list[dict[str, str]]:
    return json_lines(DATA / "geometry3k" / "test.jsonl")
