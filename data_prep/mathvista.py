"""Converts MathVista (Lu et al. 2024) to a test set: the 1,000 questions of testmini, with published answers.

The raw layout is `testmini.json`, an object of pid to record, beside a folder of pictures. Tables, in parquet
files or on the Hub, have the columns of `AI4Math/MathVista`. The official test split (5,141 questions) has no
answers; it is left out and counted.

Questions have the wording of the official evaluation: a hint on the form of the answer, the question, its
unit, the lettered choices. The answer stays as published: for multiple choice, it is the text of the choice.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from data_prep import sources
from data_prep.records import find_file_inside, read_picture, text_field, text_list, validated_picture
from data_prep.writer import summary, write_dataset
from vlm_uec.data.rows import parse_precision, picture_bytes, require_columns
from vlm_uec.data.validation import IMAGE_MARK, InvalidRow, problem_defect
from vlm_uec.errors import UserError
from vlm_uec.io.bounded_json import read_json
from vlm_uec.types import Problem

SOURCE = "mathvista"
SPLIT = "test"
MANIFEST_SETTINGS = {"dataset": SOURCE, "source_split": "testmini"}  # differs from MathVista's test split
TABLE_SPLITS = {"testmini": "testmini", "test": "official test"}
COLUMNS = (
    "pid", "question", "image", "decoded_image", "choices", "unit", "precision", "answer", "question_type",
    "answer_type", "metadata",
)  # fmt: skip
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
MAX_TABLE_BYTES = 64 * 2**20
UNANSWERED_COUNTER = "official test split, left out as its answers are not published"

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# By question type, answer type and decimal places. Verbatim: the published results were made with it.
_HINTS = {
    "multi_choice text": "Please answer the question and provide the correct option letter, "
    "e.g., A, B, C, D, at the end.",
    "free_form integer": "Please answer the question requiring an integer answer and provide the final "
    "value, e.g., 1, 2, 3, at the end.",
    "free_form float 1": "Please answer the question requiring a floating-point number with one decimal "
    "place and provide the final value, e.g., 1.2, 1.3, 1.4, at the end.",
    "free_form float 2": "Please answer the question requiring a floating-point number with two decimal "
    "places and provide the final value, e.g., 1.23, 1.34, 1.45, at the end.",
    "free_form list": "Please answer the question requiring a Python list as an answer and provide the "
    "final list, e.g., [1, 2, 3], [1.2, 1.3, 1.4], at the end.",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    raw = "contains testmini.json and the folder images; other folders images* are searched too"
    sources.add_arguments(parser, raw, "of AI4Math/MathVista")


def run(args: argparse.Namespace) -> str:
    if args.raw is not None:
        return summary(prepare(args.raw, args.out))
    return summary(prepare_tables(sources.open_source(args, TABLE_SPLITS, _columns), args.out))


def prepare(raw: Path, out: Path) -> dict[str, Any]:
    """Convert `raw/testmini.json` and return the manifest, which counts the pictures by folder.

    Raises:
        UserError: the file is missing, cannot be read or has no usable row.
    """
    rows = load_raw_rows(raw / "testmini.json")
    pictures: Counter[str] = Counter()
    problems = _raw_problems(raw.resolve(), rows, pictures)
    return write_dataset(out, {SPLIT: problems}, {**MANIFEST_SETTINGS, "layout": "raw"}, pictures)


def prepare_tables(source: sources.TableSource, out: Path) -> dict[str, Any]:
    """Convert the tables of testmini and return the manifest, which counts the omitted questions.

    Raises:
        UserError: no table is testmini, a table cannot be read, or no row is usable.
    """
    unanswered = sum(table.length for table in source.tables.get("official test", ()))
    tables = source.tables.get("testmini")
    if tables is None:
        raise UserError(
            f"{source.where}: only MathVista's official test split, whose answers are not published; "
            "give testmini (as testmini=FILE if the file has answers)"
        )
    problems = sources.table_problems(SPLIT, tables, _table_problem, _row_id)
    counters = {UNANSWERED_COUNTER: unanswered} if unanswered else {}
    return write_dataset(out, {SPLIT: problems}, {**MANIFEST_SETTINGS, **source.settings}, counters)


def build_query(
    question: str,
    choices: Sequence[str],
    unit: str | None,
    question_type: str,
    answer_type: str,
    precision: int | None,
) -> str:
    """The official wording of a question. Raises InvalidRow if its type has none."""
    kind = f"{question_type} {answer_type}" + (f" {precision}" if answer_type == "float" else "")
    if kind not in _HINTS:
        raise InvalidRow("no official wording for this kind of question", kind)
    if len(choices) > len(_LETTERS):
        raise InvalidRow(f"more than {len(_LETTERS)} choices", question)
    lines = [f"Hint: {_HINTS[kind]}", f"Question: {question}" + (f" (Unit: {unit})" if unit else "")]
    if not choices:
        return "\n".join(lines).strip()
    # Unlike the official wording, not stripped: a choice must appear exactly as published, blanks included.
    lettered = [f"({letter}) {choice}" for letter, choice in zip(_LETTERS, choices, strict=False)]
    return "\n".join([*lines, "Choices:", *lettered])


def _columns(present: Sequence[str], where: str) -> list[str]:
    require_columns(COLUMNS, present, where)
    return list(COLUMNS)


def load_raw_rows(file: Path) -> list[sources.Row]:
    """The records in file order; an entry that is not an object becomes a row with only a pid."""
    if not file.is_file():
        raise UserError(f"{file}: no such file; give the directory of MathVista's testmini.json with --raw")
    try:
        table = read_json(file, MAX_TABLE_BYTES, _json_object)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: cannot be read: {error}; download it again") from error
    if not isinstance(table, dict | _RepeatedKeys):
        raise UserError(f"{file}: not an object of pid to record; is it MathVista's testmini.json?")
    records = table.items() if isinstance(table, dict) else table
    return [{"pid": pid, **(record if isinstance(record, dict) else {})} for pid, record in records]


class _RepeatedKeys(list[tuple[str, Any]]):
    """The items of a JSON object with repeated keys: a dict would silently drop the first value."""


def _json_object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _RepeatedKeys:
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else _RepeatedKeys(pairs)


def _raw_problems(root: Path, rows: Sequence[sources.Row], pictures: Counter[str]) -> sources.Problems:
    try:
        folders = sorted(folder.name for folder in root.glob("images*") if folder.is_dir())
        for item in sources.row_problems(
            SPLIT, rows, len(rows), partial(_raw_problem, root, folders), _row_id
        ):
            if isinstance(item, Problem):
                pictures[f"pictures from {PurePosixPath(item.metadata['picture']).parent}"] += 1
            yield item
    except OSError as error:
        raise UserError(f"{root}: cannot be read: {error}; check --raw") from error


def _raw_problem(root: Path, folders: Sequence[str], row: sources.Row) -> Problem:
    def load(image: str) -> tuple[str, bytes]:
        name, path = _find_picture(root, folders, image)
        return name, read_picture(path, name)

    return _problem(row, load)


def _find_picture(root: Path, folders: Sequence[str], image: str) -> tuple[str, Path]:
    """The file `image`, or one with its stem: in its own folder, then in each of `folders`."""
    own = PurePosixPath(image)
    searched = dict.fromkeys([own.parent, *map(PurePosixPath, folders)])
    same_stem = (str(folder / (own.stem + suffix)) for folder in searched for suffix in PICTURE_SUFFIXES)
    for name in (image, *same_stem):
        if path := find_file_inside(root, name):
            return name, path
    raise InvalidRow("missing picture", image)


def _table_problem(row: sources.Row) -> Problem:
    return _problem(row, lambda name: (name, validated_picture(picture_bytes(row["decoded_image"]), name)))


def _row_id(row: sources.Row) -> str:
    return f"mathvista-{row['pid']}"[:200] if isinstance(row["pid"], str | int) else ""


def _problem(row: sources.Row, load: Callable[[str], tuple[str, bytes]]) -> Problem:
    """`load` returns the path of a picture below the data set's directory, and its bytes."""
    bare_problem = problem_without_picture(row)
    name, picture = load(text_field(row, "image"))
    labels = {**bare_problem.metadata, "picture": name}
    return _validated(
        replace(
            bare_problem, question=IMAGE_MARK + bare_problem.question, images=(picture,), metadata=labels
        ),
        row,
    )


def problem_without_picture(row: sources.Row) -> Problem:
    """The problem of a record, without picture and image mark. Raises InvalidRow."""
    wording, answer = _wording(row), text_field(row, "answer")
    choices = _choices(row)
    if not answer.strip():
        raise InvalidRow("empty answer", row["question"])
    if row["question_type"] == "multi_choice" and answer not in choices:
        raise InvalidRow("answer is none of the choices", answer)
    labels = _labels(row.get("metadata"))
    problem = Problem(
        id=f"mathvista-{_pid(row)}",
        question=wording,
        answer=answer,
        choices=choices,
        precision=parse_precision(row.get("precision")),
        question_type=row["question_type"],
        answer_type=row["answer_type"],
        source=SOURCE,
        metadata={**labels, "pid": str(row["pid"]), "unit": row.get("unit")},
    )
    return _validated(problem, row)


def _validated(problem: Problem, row: sources.Row) -> Problem:
    if fault := problem_defect(problem):
        raise InvalidRow(fault, row["question"])
    return problem


def _wording(row: sources.Row) -> str:
    question = text_field(row, "question")
    kind = text_field(row, "question_type"), text_field(row, "answer_type")
    unit = None if row.get("unit") is None else text_field(row, "unit")
    wording = build_query(question, _choices(row), unit, *kind, parse_precision(row.get("precision")))
    if not question.strip():
        raise InvalidRow("empty question")
    if IMAGE_MARK in wording:
        raise InvalidRow(f"question contains {IMAGE_MARK}", question)
    return wording


def _pid(row: sources.Row) -> str:
    if not isinstance(row["pid"], str | int) or isinstance(row["pid"], bool):
        raise InvalidRow("wrong type", f"'pid' is {type(row['pid']).__name__}, not a number or text")
    return str(row["pid"])


def _choices(row: sources.Row) -> tuple[str, ...]:
    return () if row.get("choices") is None else text_list(row, "choices")


def _labels(value: Any) -> Mapping[str, Any]:
    """The record's metadata: texts, numbers and lists of texts by name."""
    labels = {} if value is None else value
    if not isinstance(labels, dict) or not all(map(_is_label, labels.values())):
        raise InvalidRow("wrong type", "'metadata' has values other than texts, numbers and lists of texts")
    return labels


def _is_label(value: Any) -> bool:
    texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return texts or value is None or isinstance(value, str | int | float)
