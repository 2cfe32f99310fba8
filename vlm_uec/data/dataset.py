"""Reads datasets on disk or on the Hub as `Problem`s.

Rows that cannot be trained on are dropped and counted by reason. Only a fault of the whole dataset (no such
path, column or split, no usable row) is a `UserError`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm_uec.data.rows import RejectedRow, choose_columns, parse_problems
from vlm_uec.data.tables import hub_rows, load_hub_dataset, parquet_rows, split_name
from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.hub import exists_locally, may_be_hub_id, missing_reason
from vlm_uec.types import Problem


@dataclass(frozen=True)
class LoadedSplit:
    """The usable problems of a split in dataset order, and the number of dropped rows by reason."""

    problems: list[Problem]
    rejected: Counter[str]


def load_problems(path: str, split: str) -> LoadedSplit:
    """Read one split of a directory of parquet files or, if no such directory exists, of a Hub dataset.

    The directory, or its folder `data`, contains `<split>.parquet` or `<split>-*.parquet`. The required
    columns are `images`, `problem` and `answer`, or veRL's `images`, `prompt` and `reward_model`. The other
    columns have defaults; the id of a row without `id` is a hash of its content. Pictures stay encoded; only
    their headers are read.

    Raises:
        UserError: no such path or split, an unreadable file, a column missing, or no usable row.
    """
    problems: list[Problem] = []
    rejected: Counter[str] = Counter()
    for item in stream_problems(path, split):
        if isinstance(item, RejectedRow):
            rejected[item.reason] += 1
        else:
            problems.append(item)
    if not problems:
        where = f"{escape(path, 200)} ({escape(split)})"
        found = ", ".join(f"{reason}: {count}" for reason, count in rejected.most_common())
        raise UserError(f"{where}: {_none_usable(found)}; fix or rebuild the dataset")
    return LoadedSplit(problems, rejected)


def _none_usable(rejected: str) -> str:
    return f"no usable row ({rejected})" if rejected else "the split has no rows"


def stream_problems(path: str, split: str) -> Iterator[Problem | RejectedRow]:
    """The rows of `load_problems` one by one, so that a reader can stop early.

    Raises the same errors, except for a split without a usable row.
    """
    return parse_problems(_local_rows(Path(path), split) if exists_locally(path) else _hub_rows(path, split))


def data_fingerprint(problems: Iterable[Problem]) -> str:
    """Hex SHA-256 over all fields of the problems, in order; equal before writing and after reading."""
    digest = hashlib.sha256()
    for problem in problems:
        digest.update(problem_digest(problem))
    return digest.hexdigest()


def problem_digest(problem: Problem) -> bytes:
    """SHA-256 of all fields of a problem, picture bytes included."""
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


def _local_rows(directory: Path, split: str) -> Iterator[dict[str, Any]]:
    for file in _split_files(directory, split):
        yield from parquet_rows(file, choose_columns)


def _split_files(directory: Path, split: str) -> list[Path]:
    where = escape(str(directory), 200)
    if not directory.is_dir():
        raise UserError(f"{where}: not a directory; give the directory that contains {escape(split)}.parquet")
    found = parquet_files(directory)
    files = [file for file in found if split_name(file) == split]
    if not files:
        splits = escape(", ".join(sorted({split_name(file) for file in found})), 300) or "none"
        raise UserError(
            f"{where}: no split '{escape(split)}' here, available: {splits}; is it a data_prep directory?"
        )
    return files


def parquet_files(directory: Path) -> list[Path]:
    """The parquet files of a dataset directory and of its folder `data` (the layout of the Hub), sorted."""
    return sorted(file for folder in (directory, directory / "data") for file in folder.glob("*.parquet"))


def _hub_rows(name: str, split: str) -> Iterator[dict[str, Any]]:
    if not may_be_hub_id(name):
        raise UserError(
            f"{escape(name, 200)}: {missing_reason(name)}; write one with 'python -m data_prep', "
            "or give a Hub id"
        )
    yield from hub_rows(load_hub_dataset(name, split), choose_columns, name)
