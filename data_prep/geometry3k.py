"""Geometry3K (Lu et al. 2021, "Inter-GPS") in either form it is passed around in, as a dataset for training.

The raw form is `<split>/<id>/data.json` beside `img_diagram.png`, or `img_diagram_point.png` where the clean
diagram is missing; the jsonl form is `<split>.jsonl` with `id`, `problem`, `answer` (its text) and `image` (a
path below the directory, or null). The directory's own top level decides: `<split>.jsonl` there means jsonl.

The question is `problem_text`, not `annotat_text`: it is the wording of the jsonl form and of the parquet
files published for RL, and it is there in reduced records too. Choices are kept but not shown, so every
question is free-form. Text that looks like a model's special token stays text.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_prep.writer import Rejection, summary, write_dataset
from vlm_uec.data.dataset import IMAGE_MARK, MAX_PICTURE_BYTES, picture_fault, problem_fault
from vlm_uec.errors import UserError
from vlm_uec.types import Problem

SPLITS = {"train": "train", "val": "validation", "test": "test"}
PICTURES = ("img_diagram.png", "img_diagram_point.png")
MAX_RECORD_BYTES = 2**20


class _RowError(Exception):
    """Why a row is left out: the reason it is counted under, and its own value."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail[:200]


@dataclass(frozen=True)
class _Record:
    """What both forms have in common."""

    id: str
    text: str
    answer: str
    picture: str  # relative to the raw directory
    choices: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--raw",
        type=Path,
        required=True,
        metavar="DIR",
        help="Inter-GPS layout (train/11/data.json, ...) or train.jsonl, val.jsonl, test.jsonl with pictures",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the parquet files go")


def run(args: argparse.Namespace) -> str:
    return summary(prepare(args.raw, args.out))


def prepare(raw: Path, out: Path) -> dict[str, Any]:
    """Convert the splits found in `raw` and return the manifest; its counters say which picture was used.

    Raises:
        UserError: `raw` is missing, has neither layout, cannot be read or gives no usable row.
    """
    layout, sources = _sources(raw)
    pictures: Counter[str] = Counter()
    splits = {
        SPLITS[split]: _split_rows(raw.resolve(), split, source, pictures)
        for split, source in sources.items()
    }
    return write_dataset(out, splits, {"dataset": "geometry3k", "layout": layout}, pictures)


def _sources(raw: Path) -> tuple[str, dict[str, Path]]:
    if not raw.is_dir():
        raise UserError(f"{raw}: no such directory; give --raw the directory that holds Geometry3K")
    jsonl = {split: raw / f"{split}.jsonl" for split in SPLITS if (raw / f"{split}.jsonl").is_file()}
    if jsonl:
        return "jsonl", jsonl
    folders = {split: raw / split for split in SPLITS if (raw / split).is_dir()}
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
        for name, read in tqdm(items(split, source), SPLITS[split], total, unit=" problems", disable=None):
            yield _row(root, name, read, pictures)
    except OSError as error:
        raise UserError(f"{source}: cannot be read: {error}; check --raw") from error


def _row(root: Path, name: str, read: Callable[[], _Record], pictures: Counter[str]) -> Problem | Rejection:
    try:
        record = read()
        name = record.id
        problem = _problem(root, record)
    except _RowError as error:
        return Rejection(name[:200], error.reason, error.detail)
    used = Path(record.picture).name
    pictures[used if used in PICTURES else "picture of another name"] += 1
    return problem


def _problem(root: Path, record: _Record) -> Problem:
    if IMAGE_MARK in record.text:
        raise _RowError(f"question holds {IMAGE_MARK}", record.text)
    problem = Problem(
        id=record.id,
        question=IMAGE_MARK + record.text,
        answer=record.answer,
        images=(_picture(root, record.picture),),
        choices=record.choices,
        answer_type=_answer_type(record.answer),
        source="geometry3k",
        metadata={**record.metadata, "picture": record.picture},
    )
    if fault := problem_fault(problem):
        raise _RowError(fault, record.picture if fault.startswith("picture") else "")
    return problem


def _answer_type(answer: str) -> str:
    """MathVista's names: `integer`, `float`, or `text` for all else (radicals, fractions, ratios, ...)."""
    if re.fullmatch(r"-?\d+", answer.strip(), re.ASCII):
        return "integer"
    return "float" if re.fullmatch(r"-?\d*\.\d+", answer.strip(), re.ASCII) else "text"


def _picture(root: Path, name: str) -> bytes:
    """The bytes of a picture that decodes; links are followed, but not out of `root`."""
    if not name:
        raise _RowError("missing picture", "none named")
    try:
        path = (root / name).resolve()
        inside, exists = path.is_relative_to(root), path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # a NUL, a name too long, a loop of links
        raise _RowError("missing picture", f"{name}: {error}") from error
    if not inside:
        raise _RowError("picture path leaves the directory", name)
    if not exists:
        raise _RowError("missing picture", name)
    data = _read(path, MAX_PICTURE_BYTES)
    if fault := picture_fault(data, decode=True):
        raise _RowError(fault, name)
    return data


def _jsonl_items(split: str, file: Path) -> Iterator[tuple[str, Callable[[], _Record]]]:
    for number, line in enumerate(_lines(file), 1):
        yield f"geometry3k-{split}-line-{number}", partial(_jsonl_record, split, line)


def _lines(file: Path) -> Iterator[bytes]:
    """Lines that are not blank; of one over the limit only enough to see that it is."""
    with file.open("rb") as stream:
        while line := stream.readline(MAX_RECORD_BYTES + 1):
            if line.strip():
                yield line
            while len(line) > MAX_RECORD_BYTES and not line.endswith(b"\n"):
                line = stream.readline(MAX_RECORD_BYTES + 1)


def _jsonl_record(split: str, line: bytes) -> _Record:
    fields = _json_object(line)
    number = fields.get("id")
    if not isinstance(number, int | str) or isinstance(number, bool):
        raise _RowError("wrong type", f"'id' is {type(number).__name__}, not a number or text")
    picture = fields.get("image")
    return _Record(
        id=f"geometry3k-{split}-{number}",
        text=_text(fields, "problem"),
        answer=_text(fields, "answer"),
        picture="" if picture is None else _text(fields, "image"),
    )


def _folder_items(split: str, folder: Path) -> Iterator[tuple[str, Callable[[], _Record]]]:
    folders = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for path in sorted(folders, key=lambda path: (len(path.name), path.name)):  # 2, 10, 11 as numbers go
        name = f"geometry3k-{split}-{path.name}"
        yield name, partial(_folder_record, name, split, path)


def _folder_record(name: str, split: str, folder: Path) -> _Record:
    if not (folder / "data.json").is_file():
        raise _RowError("missing data.json", folder.name)
    fields = _json_object(_read(folder / "data.json", MAX_RECORD_BYTES))
    choices = fields.get("choices")
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        raise _RowError("wrong type", "'choices' is not a list of texts")
    picture = next((name for name in PICTURES if (folder / name).exists()), "")
    return _Record(
        id=name,
        text=_text(fields, "problem_text"),
        answer=_right_choice(choices, _text(fields, "answer")),
        picture=f"{split}/{folder.name}/{picture}" if picture else "",
        choices=tuple(choices),
        metadata={key: _labels(fields.get(key)) for key in ("problem_type_graph", "problem_type_goal")},
    )


def _labels(value: Any) -> list[str]:
    """At most ten short texts; anything else in these fields is of no use to anyone."""
    labels = value if isinstance(value, list) else []
    return [label for label in labels if isinstance(label, str) and len(label) <= 100][:10]


def _right_choice(choices: list[str], letter: str) -> str:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(choices)]
    place = letters.find(letter.strip().upper()) if len(letter.strip()) == 1 else -1
    if not letter.strip():
        raise _RowError("empty answer")
    if place < 0:
        raise _RowError("answer letter out of range", f"'{letter}' with {len(choices)} choices")
    return choices[place]


def _json_object(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_RECORD_BYTES:
        raise _RowError(f"record over {MAX_RECORD_BYTES} bytes")
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _RowError("malformed JSON", str(error)) from error
    if not isinstance(fields, dict):
        raise _RowError("malformed JSON", f"{type(fields).__name__} where an object was expected")
    return fields


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str):
        raise _RowError("wrong type", f"'{key}' is {type(value).__name__}, not text")
    return value


def _read(path: Path, limit: int) -> bytes:
    """At most one byte over the limit, which is enough to see that the file is too large."""
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise _RowError("unreadable file", f"{path.name}: {error.strerror}") from error
