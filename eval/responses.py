"""Reads responses sampled by another program: MathVista's official JSON, or JSON lines.

A `*.json` file is one object that maps pid to record, as written by MathVista's evaluation. Any other file
has one object per line with `pid`, `problem_id` or `id`, and `response` or `text`, such as our own
samples.jsonl.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.mathvista import load_raw_rows, problem_without_picture
from vlm_uec.data.rows import RejectedRow, parse_problems
from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.io.bounded_json import read_json
from vlm_uec.types import Problem

MAX_BYTES = 2**30
MAX_COUNT = 10**9  # maximum of an index or a number of tokens


@dataclass(frozen=True)
class GivenResponse:
    """One response to a problem. (problem_id, index) is unique within a file."""

    problem_id: str  # as in our data sets: "mathvista-<pid>" if the file has a pid
    index: int  # from 0
    text: str
    extraction: str | None  # the final answer, if the file has one
    truncated: bool | None  # None if not in the file
    tokens: int | None


@dataclass(frozen=True)
class GivenExtraction:
    """A final answer extracted from a response by another program."""

    text: str
    response: str | None  # None if not in the file


class _BadRow(ValueError):
    """What is wrong with a row, and how to fix it."""


def read_responses(path: Path) -> list[GivenResponse]:
    """The responses of a file, in file order; one without an index gets the next index of its problem.

    Raises UserError, which names the file and the line or pid, if the file cannot be read or has no response,
    a response has no problem or no text, or two responses have the same problem and index.
    """
    counts: Counter[str] = Counter()
    found: dict[tuple[str, int], GivenResponse] = {}
    for location, row in _rows(path):
        try:
            given = _response(row, counts)
            key = given.problem_id, given.index
            if key in found:
                raise _BadRow(
                    f"duplicate response {given.index} to problem {escape(key[0])}; use distinct indices"
                )
        except _BadRow as error:
            raise UserError(f"{path}, {location}: {error}") from error
        counts[given.problem_id] += 1
        found[key] = given
    if not found:
        raise UserError(f"{path}: contains no response; give a file with a model's responses")
    return list(found.values())


def read_extractions(path: Path) -> dict[str, GivenExtraction]:
    """Extractions by problem id, from a file of either format; records without an `extraction` are skipped.

    Raises UserError if the file cannot be read, has no extraction, or has two for one problem.
    """
    found: dict[str, GivenExtraction] = {}
    for location, row in _rows(path):
        try:
            extraction, name = _extraction(row), _problem_id(row)
            response = row.get("response")
            if extraction is not None and name in found:
                raise _BadRow(f"duplicate extraction for problem {escape(name)}; keep one")
        except _BadRow as error:
            raise UserError(f"{path}, {location}: {error}") from error
        if extraction is not None:
            found[name] = GivenExtraction(extraction, response if isinstance(response, str) else None)
    if not found:
        raise UserError(f"{path}: no record has an 'extraction'; run MathVista's extract_answer.py on it")
    return found


def read_testmini(path: Path) -> list[Problem]:
    """MathVista's testmini.json as problems without pictures and `<image>` marks, for scoring.

    Raises UserError if the file cannot be read or a record is not a valid problem with an answer.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; give MathVista's testmini.json")
    problems: list[Problem] = []
    for item in parse_problems(
        load_raw_rows(path), problem_without_picture, lambda row: str(row["pid"])[:200]
    ):
        if isinstance(item, RejectedRow):
            defect = f"{item.reason}: {escape(item.detail)}" if item.detail else item.reason
            raise UserError(f"{path}, pid {escape(item.id)}: {defect}; download it again")
        problems.append(item)
    if not problems:
        raise UserError(f"{path}: contains no problem; download it again")
    return problems


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The records of a file, each with its position ("line 2", "pid 7"). Raises UserError."""
    advice = "give a .json of MathVista's evaluation, or one JSON object per line"
    try:
        if not path.is_file():
            raise UserError(f"{path}: no such file; {advice}")
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: over {MAX_BYTES} bytes; split it")
        yield from _records(path) if path.suffix == ".json" else _lines(path)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read ({escape(str(error), 120)}); {advice}") from error


def _records(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    table = read_json(path, MAX_BYTES, _object)
    if not isinstance(table, dict):
        raise ValueError("not an object that maps pid to record")
    for pid, record in table.items():
        if not isinstance(record, dict):
            raise UserError(
                f"{path}, pid {escape(pid)}: {type(record).__name__}, not a record; write an object"
            )
        yield f"pid {escape(pid)}", {**record, "pid": pid}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):  # json would silently drop all but the last
        counts = Counter(key for key, _ in pairs)
        raise ValueError(f"duplicate key {counts.most_common(1)[0][0]!r}")
    return fields


def _lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line, object_pairs_hook=_object)
            except (ValueError, RecursionError) as error:
                message = f"not JSON ({escape(str(error), 120)}); write one object per line"
                raise UserError(f"{path}, line {number}: {message}") from error
            if not isinstance(row, dict):
                raise UserError(
                    f"{path}, line {number}: {type(row).__name__}, not an object; write one object per line"
                )
            yield f"line {number}", row


def _response(row: Mapping[str, Any], counts: Mapping[str, int]) -> GivenResponse:
    name = _problem_id(row)
    field = "response" if "response" in row else "text"
    text = row.get(field)
    if not isinstance(text, str):
        raise _BadRow(f"'response' or 'text' is {type(text).__name__}; write a string, \"\" for no response")
    index = _count(row, "index")
    return GivenResponse(
        problem_id=name,
        index=counts.get(name, 0) if index is None else index,
        text=text,
        extraction=_extraction(row),
        truncated=_truncated(row),
        tokens=_count(row, "tokens"),
    )


def _problem_id(row: Mapping[str, Any]) -> str:
    for field, prefix in (("pid", "mathvista-"), ("problem_id", ""), ("id", "")):
        value = row.get(field)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return f"{prefix}{value}"
        if value is not None:
            raise _BadRow(f"'{field}' is {type(value).__name__}; write a string or an integer")
    raise _BadRow("no problem id; write a pid, a problem_id or an id")


def _extraction(row: Mapping[str, Any]) -> str | None:
    """The extraction as the official scorer reads it: numbers and lists as formatted by Python."""
    value = row.get("extraction")
    if value is None:
        return None
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str | int | float) for item in items):
        raise _BadRow(
            f"'extraction' is {type(value).__name__}; write a string, a number or a flat list of these"
        )
    return str(value)


def _truncated(row: Mapping[str, Any]) -> bool | None:
    flags = [flag for field in ("unfinished", "truncated") if (flag := _flag(row, field)) is not None]
    return any(flags) if flags else None


def _flag(row: Mapping[str, Any], field: str) -> bool | None:
    value = row.get(field)
    if value is not None and not isinstance(value, bool):
        raise _BadRow(f"'{field}' is {type(value).__name__}; write true or false")
    return value


def _count(row: Mapping[str, Any], field: str) -> int | None:
    value = row.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        raise _BadRow(f"'{field}' is not an integer from 0 to {MAX_COUNT}; correct or omit it")
    return value
