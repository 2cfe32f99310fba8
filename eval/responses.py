"""Responses that others sampled, read for scoring: MathVista's official JSON, or a JSON object a line.

A file named `*.json` is one object of pid to record, as MathVista's evaluation writes it. Any other holds an
object a line: `pid`, `problem_id` or `id`, and `response` or `text`; our own samples.jsonl is one such file.
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
MAX_COUNT = 10**9  # of an index, or of tokens


@dataclass(frozen=True)
class GivenResponse:
    """One response to a problem. (problem_id, index) comes once in a file."""

    problem_id: str  # as our data sets name it: "mathvista-<pid>" where the file gives a pid
    index: int  # from 0
    text: str
    extraction: str | None  # the final answer, where the file gives one
    truncated: bool | None  # None where the file does not say
    tokens: int | None


@dataclass(frozen=True)
class GivenExtraction:
    """A final answer that somebody took out of a response."""

    text: str
    response: str | None  # None where the file does not hold it


class _BadRow(ValueError):
    """What is wrong with a row, and the way out."""


def read_responses(path: Path) -> list[GivenResponse]:
    """A file's responses, in its order; one without an index gets the next of its problem.

    Raises UserError, which names the file and the line or pid, where it cannot be read or holds no response,
    one has no problem or no text, or two have the same problem and index.
    """
    counts: Counter[str] = Counter()
    found: dict[tuple[str, int], GivenResponse] = {}
    for where, row in _rows(path):
        try:
            given = _response(row, counts)
            key = given.problem_id, given.index
            if key in found:
                raise _BadRow(
                    f"a second response {given.index} to problem {escape(key[0])}; number them apart"
                )
        except _BadRow as error:
            raise UserError(f"{path}, {where}: {error}") from error
        counts[given.problem_id] += 1
        found[key] = given
    if not found:
        raise UserError(f"{path}: no response in it; give a file of a model's responses")
    return list(found.values())


def read_extractions(path: Path) -> dict[str, GivenExtraction]:
    """Of each problem id, from a file of either form; records without an `extraction` are left out.

    Raises UserError where the file cannot be read, gives none, or gives two for one problem.
    """
    found: dict[str, GivenExtraction] = {}
    for where, row in _rows(path):
        try:
            extraction, name = _extraction(row), _problem_id(row)
            response = row.get("response")
            if extraction is not None and name in found:
                raise _BadRow(f"a second extraction for problem {escape(name)}; keep one")
        except _BadRow as error:
            raise UserError(f"{path}, {where}: {error}") from error
        if extraction is not None:
            found[name] = GivenExtraction(extraction, response if isinstance(response, str) else None)
    if not found:
        raise UserError(f"{path}: no record has an 'extraction'; run MathVista's extract_answer.py on it")
    return found


def read_testmini(path: Path) -> list[Problem]:
    """MathVista's testmini.json as problems without pictures, for scoring; `<image>` marks are left out.

    Raises UserError where it cannot be read or a record is no problem with an answer.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; give MathVista's testmini.json")
    problems: list[Problem] = []
    for item in parse_problems(
        load_raw_rows(path), problem_without_picture, lambda row: str(row["pid"])[:200]
    ):
        if isinstance(item, RejectedRow):
            what = f"{item.reason}: {escape(item.detail)}" if item.detail else item.reason
            raise UserError(f"{path}, pid {escape(item.id)}: {what}; download it again")
        problems.append(item)
    if not problems:
        raise UserError(f"{path}: no problem in it; download it again")
    return problems


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each record of a file with its place in words. Raises UserError."""
    way_out = "give a .json of MathVista's evaluation or a JSON object a line"
    try:
        if not path.is_file():
            raise UserError(f"{path}: no such file; {way_out}")
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: over {MAX_BYTES} bytes; split it")
        yield from _records(path) if path.suffix == ".json" else _lines(path)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read ({escape(str(error), 120)}); {way_out}") from error


def _records(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    table = read_json(path, MAX_BYTES, _object)
    if not isinstance(table, dict):
        raise ValueError("not an object of pid to record")
    for pid, record in table.items():
        if not isinstance(record, dict):
            raise UserError(
                f"{path}, pid {escape(pid)}: no record but {type(record).__name__}; give an object"
            )
        yield f"pid {escape(pid)}", {**record, "pid": pid}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):  # a dict would drop the first of the two in silence
        counts = Counter(key for key, _ in pairs)
        raise ValueError(f"the key {counts.most_common(1)[0][0]!r} comes twice")
    return fields


def _lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line, object_pairs_hook=_object)
            except (ValueError, RecursionError) as error:
                message = f"no JSON ({escape(str(error), 120)}); write an object a line"
                raise UserError(f"{path}, line {number}: {message}") from error
            if not isinstance(row, dict):
                raise UserError(
                    f"{path}, line {number}: {type(row).__name__}, no object; write an object a line"
                )
            yield f"line {number}", row


def _response(row: Mapping[str, Any], counts: Mapping[str, int]) -> GivenResponse:
    name = _problem_id(row)
    field = "response" if "response" in row else "text"
    text = row.get(field)
    if not isinstance(text, str):
        raise _BadRow(f"no text under 'response' or 'text' but {type(text).__name__}; write \"\" for none")
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
            raise _BadRow(f"'{field}' is {type(value).__name__}; write a text or a whole number")
    raise _BadRow("names no problem; give it a pid, a problem_id or an id")


def _extraction(row: Mapping[str, Any]) -> str | None:
    """As the official scorer takes it: a number, or a list of numbers, as Python writes it."""
    value = row.get("extraction")
    if value is None:
        return None
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str | int | float) for item in items):
        raise _BadRow(f"'extraction' is no text, number or list of these but {type(value).__name__}; mend it")
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
        raise _BadRow(f"'{field}' is no whole number from 0 to {MAX_COUNT}; write one, or leave it out")
    return value
