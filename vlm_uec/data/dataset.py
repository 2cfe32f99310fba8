"""Datasets on disk or on the Hub, read as `Problem`s.

Every row that cannot be trained on is dropped and counted by reason; only a fault of the whole
dataset (no such path, column or split, no usable row) is a `UserError`.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from vlm_uec.errors import UserError
from vlm_uec.types import Problem

IMAGE_MARK = "<image>"
MAX_TEXT_CHARACTERS = 20_000
MAX_PICTURE_BYTES = 32 * 2**20
MAX_PICTURE_PIXELS = 32_000_000
MAX_ASPECT_RATIO = 200  # Qwen's image processors refuse more
REQUIRED_COLUMNS = ("images", "problem", "answer")
OPTIONAL_COLUMNS = ("id", "choices", "precision", "question_type", "answer_type", "source", "metadata")

_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_ROWS_AT_A_TIME = 64
# What Pillow's decoders raise on hostile bytes; each means the same to us.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    EOFError,
    struct.error,
    zlib.error,
)


class RowFault(ValueError):
    """A row that cannot be used; its text is the reason under which it is counted."""


@dataclass(frozen=True)
class LoadedSplit:
    """The usable problems of a split in dataset order, and how many rows were dropped for which reason."""

    problems: list[Problem]
    rejected: Counter[str]


def load_problems(path: str, split: str) -> LoadedSplit:
    """Read one split of a directory of parquet files or, where there is no such directory, of a Hub dataset.

    A directory holds `<split>.parquet` or `<split>-*.parquet`, itself or in its folder `data`. The columns
    `images`, `problem` and `answer` are needed, the others are filled: a row without `id` is named by a hash
    of its content. Pictures stay encoded; only their headers are looked at.

    Raises:
        UserError: no such path or split, an unreadable file, a column missing, or no usable row.
    """
    batches = _local_batches(Path(path), split) if Path(path).exists() else _hub_batches(path, split)
    problems: list[Problem] = []
    rejected: Counter[str] = Counter()
    seen: set[str] = set()
    for row in _rows(batches, f"{path} ({split})"):
        try:
            problem = _problem(row)
            if problem.id in seen:
                raise RowFault("duplicate id")
        except RowFault as fault:
            rejected[str(fault)] += 1
            continue
        seen.add(problem.id)
        problems.append(problem)
    if not problems:
        raise UserError(
            f"{path} ({split}): no usable row; rejected: {dict(rejected)}; mend or rebuild the dataset"
        )
    return LoadedSplit(problems, rejected)


def data_fingerprint(problems: Iterable[Problem]) -> str:
    """Hex SHA-256 over everything the problems say, in order; equal before writing and after reading."""
    digest = hashlib.sha256()
    for problem in problems:
        digest.update(problem_digest(problem))
    return digest.hexdigest()


def problem_digest(problem: Problem) -> bytes:
    """SHA-256 of one problem's texts, settings and picture bytes."""
    fields = {
        "id": problem.id,
        "question": problem.question,
        "answer": problem.answer,
        "images": [hashlib.sha256(image).hexdigest() for image in problem.images],
        "choices": list(problem.choices),
        "precision": problem.precision,
        "types": [problem.question_type, problem.answer_type],
        "source": problem.source,
        "metadata": dict(problem.metadata),
    }
    return hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).digest()


def problem_fault(problem: Problem) -> str | None:
    """Why a problem cannot be trained on, or None. Pictures are judged by their headers only."""
    texts = (problem.id, problem.question, problem.answer, *problem.choices)
    if not problem.question.replace(IMAGE_MARK, "").strip():
        return "empty question"
    if not problem.answer.strip():
        return "empty answer"
    if any(len(text) > MAX_TEXT_CHARACTERS for text in texts):
        return f"text over {MAX_TEXT_CHARACTERS} characters"
    if not all(_is_unicode(text) for text in texts):
        return "text is not valid Unicode"
    if problem.question.count(IMAGE_MARK) != len(problem.images):
        return f"number of {IMAGE_MARK} differs from number of pictures"
    return next(filter(None, map(picture_fault, problem.images)), None)


def picture_fault(data: bytes, decode: bool = False) -> str | None:
    """Why encoded PNG or JPEG bytes cannot be used, or None; `decode` also reads the pixels."""
    if not data:
        return "zero-size picture"
    if len(data) > MAX_PICTURE_BYTES:
        return f"picture over {MAX_PICTURE_BYTES} bytes"
    if not data.startswith(_SIGNATURES):
        return "picture is neither PNG nor JPEG"
    try:
        return _pixel_fault(data, decode)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return f"picture over {MAX_PICTURE_PIXELS} pixels"
    except _DECODER_ERRORS:
        return "broken picture"


def _pixel_fault(data: bytes, decode: bool) -> str | None:
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
        width, height = image.size
        if width * height > MAX_PICTURE_PIXELS:
            return f"picture over {MAX_PICTURE_PIXELS} pixels"
        if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
            return f"picture sides beyond {MAX_ASPECT_RATIO}:1"
        if decode:
            image.load()
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _rows(batches: Iterator[pa.RecordBatch | pa.Table], where: str) -> Iterator[Mapping[str, Any]]:
    try:
        for batch in batches:
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{where}: cannot be read: {_first_line(error)}; write the dataset again") from error


def _local_batches(directory: Path, split: str) -> Iterator[pa.RecordBatch]:
    for file in _split_files(directory, split):
        try:
            parquet = pq.ParquetFile(file)
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"{file}: no parquet file: {_first_line(error)}; write the dataset again"
            ) from error
        with parquet:
            columns = _wanted_columns(parquet.schema_arrow.names, str(file))
            yield from parquet.iter_batches(_ROWS_AT_A_TIME, columns=columns)


def _split_files(directory: Path, split: str) -> list[Path]:
    if not directory.is_dir():
        raise UserError(f"{directory}: not a directory; give the directory that holds {split}.parquet")
    found = sorted(file for folder in (directory, directory / "data") for file in folder.glob("*.parquet"))
    files = [file for file in found if _split_of(file) == split]
    if not files:
        splits = ", ".join(sorted({_split_of(file) for file in found})) or "none"
        raise UserError(
            f"{directory}: no split '{split}' here, available: {splits}; is it a data_prep directory?"
        )
    return files


def _split_of(file: Path) -> str:
    """`train` for `train.parquet` and for the Hub's `train-00000-of-00002.parquet`."""
    return re.sub(r"-\d+(-of-\d+)?$", "", file.stem)


def _hub_batches(name: str, split: str) -> Iterator[pa.Table]:
    if not _HUB_ID.fullmatch(name):
        raise UserError(f"{name}: no such directory; write one with 'python -m data_prep' or give a Hub id")
    import datasets  # seconds to import, and local directories never need it

    try:
        dataset = datasets.load_dataset(name, split=split)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{name}: neither a directory here nor a Hub dataset with split '{split}': {_first_line(error)}"
        ) from error
    columns = _wanted_columns(dataset.column_names, name)
    yield from dataset.select_columns(columns).with_format("arrow").iter(_ROWS_AT_A_TIME)


def _wanted_columns(names: Iterable[str], where: str) -> list[str]:
    present = list(names)
    missing = [column for column in REQUIRED_COLUMNS if column not in present]
    if missing:
        raise UserError(
            f"{where}: column '{missing[0]}' is missing, found {present}; rename or rebuild the dataset"
        )
    return [column for column in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS) if column in present]


def _problem(row: Mapping[str, Any]) -> Problem:
    question, answer = _string(row, "problem"), _string(row, "answer")
    images = _images(row["images"])
    problem = Problem(
        id=_id(row.get("id")) or _content_id(question, answer, images),
        question=question,
        answer=answer,
        images=images,
        choices=_choices(row.get("choices")),
        precision=_precision(row.get("precision")),
        question_type=_string(row, "question_type", "free_form"),
        answer_type=_string(row, "answer_type", "text"),
        source=_string(row, "source", ""),
        metadata=_metadata(row.get("metadata")),
    )
    if fault := problem_fault(problem):
        raise RowFault(fault)
    return problem


def _string(row: Mapping[str, Any], column: str, default: str | None = None) -> str:
    value = row.get(column)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise RowFault(f"'{column}' is not text" if value is not None else f"'{column}' is null")
    return value


def _id(value: Any) -> str:
    if value is None or isinstance(value, str | int):
        return "" if value is None else str(value)
    raise RowFault("'id' is not text")


def _content_id(question: str, answer: str, images: tuple[bytes, ...]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in (question.encode("utf-8", "surrogatepass"), answer.encode("utf-8", "surrogatepass"), *images):
        digest.update(len(part).to_bytes(8, "big"))  # the lengths keep ("ab", "c") apart from ("a", "bc")
        digest.update(part)
    return digest.hexdigest()


def _images(value: Any) -> tuple[bytes, ...]:
    items = [] if value is None else value
    if not isinstance(items, list):
        raise RowFault("'images' is not a list")
    contents = [item.get("bytes") if isinstance(item, dict) else item for item in items]
    embedded = tuple(content for content in contents if isinstance(content, bytes))
    if len(embedded) < len(contents):
        raise RowFault("picture is not embedded in the file")
    return embedded


def _choices(value: Any) -> tuple[str, ...]:
    items = [] if value is None else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise RowFault("'choices' is not a list of texts")
    return tuple(items)


def _precision(value: Any) -> int | None:
    if value is None:
        return None
    # MathVista states its whole numbers as floats: 1.0
    if isinstance(value, int | float) and value in range(16):
        return int(value)
    raise RowFault("'precision' is not a whole number from 0 to 15")


def _metadata(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str) and len(value) > MAX_TEXT_CHARACTERS:
        raise RowFault(f"text over {MAX_TEXT_CHARACTERS} characters")
    try:
        parsed = json.loads(value) if isinstance(value, str) and value else value or {}
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise RowFault("'metadata' is not a JSON object")
    return parsed


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:200]
