"""Responses sampled by another program: formats, and one-line errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval.responses import GivenExtraction, GivenResponse, read_extractions, read_responses, read_testmini
from eval.samples import Sample, Score, sample_line
from vlm_uec.errors import UserError
from vlm_uec.types import Problem

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "mathvista"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="shared MathVista data is not available")

RECORD = {
    "question": "How many?",
    "image": "images/1.jpg",
    "choices": None,
    "unit": None,
    "precision": None,
    "answer": "4",
    "question_type": "free_form",
    "answer_type": "integer",
    "pid": "1",
    "metadata": {"task": "counting", "skills": ["arithmetic reasoning"]},
}


def _lines(path: Path, *rows: Any) -> Path:
    file = path / "responses.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def _object(path: Path, table: Any) -> Path:
    file = path / "output.json"
    file.write_text(json.dumps(table))
    return file


def _given(problem_id: str, index: int, text: str, **fields: Any) -> GivenResponse:
    return GivenResponse(
        problem_id, index, text, **{"extraction": None, "truncated": None, "tokens": None, **fields}
    )


def test_official_output_uses_pids_as_problem_ids(tmp_path: Path) -> None:
    table = {
        "7": {**RECORD, "pid": "7", "response": "Four.", "extraction": "4", "true_false": True},
        "3": {"response": "", "unfinished": True},
    }
    assert read_responses(_object(tmp_path, table)) == [
        _given("mathvista-7", 0, "Four.", extraction="4"),
        _given("mathvista-3", 0, "", truncated=True),
    ]


def test_lines_are_numbered_per_problem_in_file_order(tmp_path: Path) -> None:
    rows = (
        {"pid": 7, "response": "a"},
        {"problem_id": "geometry3k-2", "text": "b"},
        {"pid": "7", "response": "c", "tokens": 12, "truncated": True},
        {"id": 5, "response": "d", "text": "not this", "extraction": None},
    )
    assert read_responses(_lines(tmp_path, *rows)) == [
        _given("mathvista-7", 0, "a"),
        _given("geometry3k-2", 0, "b"),
        _given("mathvista-7", 1, "c", tokens=12, truncated=True),
        _given("5", 0, "d"),
    ]


def test_blank_lines_and_a_byte_order_mark_are_skipped(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"id": "a", "text": "x"}\r\n\r\n{"id": "b", "text": "y"}')
    assert [given.problem_id for given in read_responses(file)] == ["a", "b"]


def test_our_own_samples_can_be_read(tmp_path: Path) -> None:
    score = {"verify": Score(True, "4", "equal", "3")}
    samples = [Sample("p", 1, "é\u2028x", 9, True, score), Sample("p", 0, "\ud800", 4, False, score)]
    file = tmp_path / "samples.jsonl"
    file.write_bytes(b"".join(map(sample_line, samples)))
    assert read_responses(file) == [
        _given("p", 1, "é\u2028x", tokens=9, truncated=True),
        _given("p", 0, "\ud800", tokens=4, truncated=False),
    ]


@pytest.mark.parametrize(
    ("value", "text"), [("4", "4"), (4, "4"), (4.5, "4.5"), ([1, 2], "[1, 2]"), ("", "")]
)
def test_extraction_is_formatted_by_python(tmp_path: Path, value: Any, text: str) -> None:
    file = _object(tmp_path, {"1": {"response": "x", "extraction": value}})
    assert read_responses(file)[0].extraction == text
    assert read_extractions(file) == {"mathvista-1": GivenExtraction(text, "x")}


def test_records_without_extraction_are_skipped(tmp_path: Path) -> None:
    rows = {"1": {"response": "x"}, "2": {"extraction": "B"}, "3": {"extraction": None}}
    found = read_extractions(_object(tmp_path, rows))
    assert {name: given.text for name, given in found.items()} == {"mathvista-2": "B"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"response": "x"}, "line 2: no problem id"),
        ({"pid": None, "problem_id": True, "text": "x"}, "line 2: 'problem_id' is bool"),
        ({"pid": [1], "response": "x"}, "line 2: 'pid' is list"),
        ({"pid": 2}, "line 2: 'response' or 'text' is NoneType"),
        ({"pid": 2, "response": None}, "line 2: 'response' or 'text' is NoneType"),
        ({"pid": 2, "response": ["x"]}, "is list"),
        ({"pid": 2, "response": "x", "index": -1}, "line 2: 'index' is not an integer"),
        ({"pid": 2, "response": "x", "index": True}, "'index' is not an integer"),
        ({"pid": 2, "response": "x", "tokens": "many"}, "'tokens' is not an integer"),
        ({"pid": 2, "response": "x", "truncated": "no"}, "'truncated' is str"),
        ({"pid": 2, "response": "x", "unfinished": 1}, "'unfinished' is int"),
        ({"pid": 2, "response": "x", "extraction": {"a": 1}}, "'extraction' is dict"),
        ({"pid": 2, "response": "x", "extraction": [[1]]}, "'extraction' is list"),
        ({"pid": 1, "response": "y", "index": 0}, "line 2: duplicate response 0 to problem mathvista-1"),
        ("text", "line 2: str, not an object"),
        ([1], "line 2: list, not an object"),
    ],
)
def test_invalid_row_is_reported_by_line(tmp_path: Path, row: Any, message: str) -> None:
    file = _lines(tmp_path, {"pid": 1, "response": "x"}, row)
    with pytest.raises(UserError) as error:
        read_responses(file)
    assert message in str(error.value) and str(file) in str(error.value)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("record", "message"),
    [(None, "pid 2: NoneType, not a record"), ({"error": "busy"}, "pid 2: 'response' or 'text' is NoneType")],
)
def test_invalid_record_is_reported_by_pid(tmp_path: Path, record: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_responses(_object(tmp_path, {"1": {"response": "x"}, "2": record}))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", None, "no such file"),
        ("a.json", b"{", "cannot be read"),
        ("a.json", b"[" * 200_000, "cannot be read"),
        ("a.json", b"[1]", "not an object that maps pid to record"),
        ("a.json", b"\xff\xfe\xff", "cannot be read"),
        ("a.json", b'{"1": {}, "1": {}}', "duplicate key '1'"),
        ("a.json", b"{}", "contains no response"),
        ("a.jsonl", b"", "contains no response"),
        ("a.jsonl", b'{"pid": 1, "response": "x"}\n{"pid"', "line 2: not JSON"),
        ("a.jsonl", b"[" * 200_000, "line 1: not JSON"),
        ("a.jsonl", b"\xff", "line 1: not JSON"),
        ("a.jsonl", b'{"pid": 1, "pid": 2, "response": "x"}', "line 1: not JSON (duplicate key 'pid')"),
        ("a.jsonl", b'{"pid": ' + b"9" * 5_000 + b', "response": "x"}', "line 1: not JSON"),
    ],
)
def test_malformed_file_is_one_line(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        read_responses(tmp_path / name)
    assert message in str(error.value)


def test_file_over_the_size_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.responses.MAX_BYTES", 10)
    with pytest.raises(UserError, match="over 10 bytes"):
        read_responses(_lines(tmp_path, {"pid": 1, "response": "x"}))


def test_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_responses(tmp_path)


def test_missing_and_duplicate_extractions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no record has an 'extraction'"):
        read_extractions(_object(tmp_path, {"1": {"response": "x"}}))
    twice = _lines(tmp_path, {"pid": 1, "extraction": "A"}, {"pid": "1", "extraction": "A"})
    with pytest.raises(UserError, match="line 2: duplicate extraction for problem mathvista-1"):
        read_extractions(twice)


def test_testmini_becomes_problems_without_pictures(tmp_path: Path) -> None:
    assert read_testmini(_object(tmp_path, {"1": RECORD})) == [
        Problem(
            id="mathvista-1",
            question="Hint: Please answer the question requiring an integer answer and provide the final "
            "value, e.g., 1, 2, 3, at the end.\nQuestion: How many?",
            answer="4",
            answer_type="integer",
            source="mathvista",
            metadata={"task": "counting", "skills": ["arithmetic reasoning"], "pid": "1", "unit": None},
        )
    ]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"1": {**RECORD, "answer": ""}}, "pid 1: empty answer: How many"),
        ({"1": {**RECORD, "answer_type": "essay"}}, "pid 1: no official wording"),
        ({"1": RECORD, "2": RECORD}, "pid 1: duplicate id"),
        ({"7": 3}, "pid 7: wrong type"),
        ({}, "contains no problem"),
        ([], "not an object"),
    ],
)
def test_invalid_testmini_is_refused(tmp_path: Path, table: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_testmini(_object(tmp_path, table))


def test_missing_testmini_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file; give MathVista's testmini"):
        read_testmini(tmp_path / "testmini.json")


@needs_shared
def test_published_files_of_mathvista() -> None:
    problems = {problem.id for problem in read_testmini(SHARED / "testmini.json")}
    bard = read_responses(SHARED / "results" / "output_bard.json")
    qwen = read_responses(SHARED / "results" / "qwen2.5-vl-7b_testmini.jsonl")
    assert len(problems) == len({given.problem_id for given in bard} & problems) == 1000
    assert len({given.problem_id for given in qwen} & problems) == len(qwen) == 999
    assert {given.index for given in (*bard, *qwen)} == {0}
    assert len(read_extractions(SHARED / "results" / "output_bard.json")) == 1000
