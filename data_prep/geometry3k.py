"""Converts Geometry3K (Lu et al. 2021, "Inter-GPS"), in each published layout, to a training dataset.

The raw layout is `<split>/<id>/data.json` beside `img_diagram.png`, or `img_diagram_point.png` if the clean
diagram is missing. The jsonl layout is `<split>.jsonl` with `id`, `problem`, `answer` (its text) and `image`
(a path below the directory, or null). A directory with `<split>.jsonl` at its top level has the jsonl layout.
Tables, in parquet files or on the Hub, have the columns of `hiyouga/geometry3k` (`images`, `problem`,
`answer`) or of veRL; see `vlm_uec.data.rows`.

The question is `problem_text`, not `annotat_text`: the jsonl layout and the parquet files published for RL
use this wording, and reduced records also contain it. Choices are kept but not shown, so every question is
free-form. Text that looks like a special token stays text.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from data_prep import sources
from data_prep.records import (
    MAX_RECORD_BYTES,
    find_file_inside,
    parse_json_object,
    read_bounded,
    read_picture,
    text_field,
    text_list,
    validated_picture,
)
from data_prep.writer import Rejection, summary, write_dataset
from vlm_uec.data.rows import choose_columns, parse_problem
from vlm_uec.data.validation import IMAGE_MARK, InvalidRow, problem_defect
from vlm_uec.errors import UserError
from vlm_uec.types import Problem

RAW_SPLITS = {"train": "train", "val": "validation", "test": "test"}
TABLE_SPLITS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
PICTURE_NAMES = ("img_diagram.png", "img_diagram_point.png")
SOURCE = "geometry3k"


@dataclass(frozen=True)
class _Record:
    """The fields that both raw layouts have in common."""

    id: str
    text: str
    answer: str
    picture: str  # relative to the raw directory
    choices: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    raw = "Inter-GPS layout (train/11/data.json, ...) or train.jsonl, val.jsonl, test.jsonl with pictures"
    sources.add_arguments(parser, raw, "images, problem and answer")


def run(args: argparse.Namespace) -> str:
    if args.raw is not None:
        return summary(prepare(args.raw, args.out))
    return summary(prepare_tables(sources.open_source(args, TABLE_SPLITS, choose_columns), args.out))


def prepare(raw: Path, out: Path) -> dict[str, Any]:
    """Convert the splits found in `raw` and return the manifest, which counts the picture files used by name.

    Raises:
        UserError: `raw` is missing, has neither layout, cannot be read or has no usable row.
    """
    layout, found = _find_layout(raw)
    pictures: Counter[str] = Counter()
    splits = {
        RAW_SPLITS[split]: _split_rows(raw.resolve(), split, source, pictures)
        for split, source in found.items()
    }
    return write_dataset(out, splits, {"dataset": SOURCE, "layout": layout}, pictures)


def prepare_tables(source: sources.TableSource, out: Path) -> dict[str, Any]:
    """Convert every split of the tables and return the manifest.

    Raises:
        UserError: a table cannot be read, or no row is usable.
    """
    splits = {
        split: sources.table_problems(split, tables, _table_problem)
        for split, tables in source.tables.items()
    }
    return write_dataset(out, splits, {"dataset": SOURCE, **source.settings})


def _table_problem(row: sources.Row) -> Problem:
    if not row["images"]:
        raise InvalidRow("missing picture")
    problem = parse_problem(row)
    for image in problem.images:
        validated_picture(image, problem.question)
    answer_type = problem.answer_type if row.get("answer_type") else _answer_type(problem.answer)
    return replace(problem, source=problem.source or SOURCE, answer_type=answer_type)


def _find_layout(raw: Path) -> tuple[str, dict[str, Path]]:
    """The layout's name, and the jsonl file or folder of each split."""
    if not raw.is_dir():
        raise UserError(f"{raw}: no such directory; give the directory of Geometry3K with --raw")
    jsonl = {split: raw / f"{split}.jsonl" for split in RAW_SPLITS if (raw / f"{split}.jsonl").is_file()}
    if jsonl:
        return "jsonl", jsonl
    folders = {split: raw / split for split in RAW_SPLITS if (raw / split).is_dir()}
    if folders:
        return "inter-gps", folders
    raise UserError(
        f"{raw}: neither {{train,val,test}}.jsonl nor {{train,val,test}}/<id>/data.json; check --raw"
    )


def _split_rows(
    root: Path, split: str, source: Path, pictures: Counter[str]
) -> Iterator[Problem | Rejection]:
    items = _jsonl_items if source.is_file() else _folder_items
    try:
        total = sum(1 for _ in items(split, source))
        for name, read in sources.progress(items(split, source), RAW_SPLITS[split], total):
            yield _row(root, name, read, pictures)
    except OSError as error:
        raise UserError(f"{source}: cannot be read: {error}; check --raw") from error


def _row(root: Path, name: str, read: Callable[[], _Record], pictures: Counter[str]) -> Problem | Rejection:
    try:
        record = read()
        name = record.id
        problem = _problem(root, record)
    except InvalidRow as error:
        return Rejection(name[:200], error.reason, error.detail)
    used = Path(record.picture).name
    pictures[used if used in PICTURE_NAMES else "picture of another name"] += 1
    return problem


def _problem(root: Path, record: _Record) -> Problem:
    if IMAGE_MARK in record.text:
        raise InvalidRow(f"question contains {IMAGE_MARK}", record.text)
    problem = Problem(
        id=record.id,
        question=IMAGE_MARK + record.text,
        answer=record.answer,
        images=(_picture(root, record.picture),),
        choices=record.choices,
        answer_type=_answer_type(record.answer),
        source=SOURCE,
        metadata={**record.metadata, "picture": record.picture},
    )
    if fault := problem_defect(problem):
        raise InvalidRow(fault, record.picture if fault.startswith("picture") else "")
    return problem


def _answer_type(answer: str) -> str:
    """MathVista's names: `integer`, `float`, or `text` for all others (radicals, fractions, ratios, ...)."""
    if re.fullmatch(r"-?\d+", answer.strip(), re.ASCII):
        return "integer"
    return "float" if re.fullmatch(r"-?\d*\.\d+", answer.strip(), re.ASCII) else "text"


def _picture(root: Path, name: str) -> bytes:
    if not name:
        raise InvalidRow("missing picture", "no file named")
    path = find_file_inside(root, name)
    if path is None:
        raise InvalidRow("missing picture", name)
    return read_picture(path, name)


def _jsonl_items(split: str, file: Path) -> Iterator[tuple[str, Callable[[], _Record]]]:
    for number, line in enumerate(_lines(file), 1):
        yield f"geometry3k-{split}-line-{number}", partial(_jsonl_record, split, line)


def _lines(file: Path) -> Iterator[bytes]:
    """The lines that are not blank; lines over the limit are cut one byte after it."""
    with file.open("rb") as stream:
        while line := stream.readline(MAX_RECORD_BYTES + 1):
            if line.strip():
                yield line
            while len(line) > MAX_RECORD_BYTES and not line.endswith(b"\n"):
                line = stream.readline(MAX_RECORD_BYTES + 1)


def _jsonl_record(split: str, line: bytes) -> _Record:
    fields = parse_json_object(line)
    number = fields.get("id")
    if not isinstance(number, int | str) or isinstance(number, bool):
        raise InvalidRow("wrong type", f"'id' is {type(number).__name__}, not a number or text")
    picture = fields.get("image")
    return _Record(
        id=f"geometry3k-{split}-{number}",
        text=text_field(fields, "problem"),
        answer=text_field(fields, "answer"),
        picture="" if picture is None else text_field(fields, "image"),
    )


def _folder_items(split: str, folder: Path) -> Iterator[tuple[str, Callable[[], _Record]]]:
    folders = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for path in sorted(folders, key=lambda path: (len(path.name), path.name)):  # in numeric order: 2, 10, 11
        name = f"geometry3k-{split}-{path.name}"
        yield name, partial(_folder_record, name, split, path)


def _folder_record(name: str, split: str, folder: Path) -> _Record:
    if not (folder / "data.json").is_file():
        raise InvalidRow("missing data.json", folder.name)
    fields = parse_json_object(read_bounded(folder / "data.json", MAX_RECORD_BYTES))
    choices = text_list(fields, "choices")
    picture = next((name for name in PICTURE_NAMES if (folder / name).exists()), "")
    return _Record(
        id=name,
        text=text_field(fields, "problem_text"),
        answer=_answer_choice(choices, text_field(fields, "answer")),
        picture=f"{split}/{folder.name}/{picture}" if picture else "",
        choices=choices,
        metadata={key: _labels(fields.get(key)) for key in ("problem_type_graph", "problem_type_goal")},
    )


def _labels(value: Any) -> list[str]:
    """At most ten short texts; other values are dropped."""
    labels = value if isinstance(value, list) else []
    return [label for label in labels if isinstance(label, str) and len(label) <= 100][:10]


def _answer_choice(choices: Sequence[str], letter: str) -> str:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(choices)]
    index = letters.find(letter.strip().upper()) if len(letter.strip()) == 1 else -1
    if not letter.strip():
        raise InvalidRow("empty answer")
    if index < 0:
        raise InvalidRow("answer letter out of range", f"'{letter}' with {len(choices)} choices")
    return choices[index]
