"""Datasets on disk or on the Hub, read as `Problem`s.

Every row that cannot be trained on is dropped and counted by reason; only a fault of the whole
dataset (no such path, column or split, no usable row) is a `UserError`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm_uec.data.rows import RejectedRow, read_problems, wanted_columns
from vlm_uec.data.tables import hub_rows, load_hub, parquet_rows, split_of
from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.hub import exists_locally, may_be_hub_id, missing_reason
from vlm_uec.types import Problem


@dataclass(frozen=True)
class LoadedSplit:
    """The usable problems of a split in dataset order, and how many rows were dropped for which reason."""

    problems: list[Problem]
    rejected: Counter[str]


def load_problems(path: str, split: str) -> LoadedSplit:
    """Read one split of a directory of parquet files or, where there is no such directory, of a Hub dataset.

    A directory holds `<split>.parquet` or `<split>-*.parquet`, itself or in its folder `data`. The columns
    `images`, `problem` and `answer` are needed, or veRL's `images`, `prompt` and `reward_model`; the others
    are filled: a row without `id` is named by a hash of its content. Pictures stay encoded; only their
    headers are looked at.

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
        raise UserError(f"{where}: no usable row; rejected: {dict(rejected)}; mend or rebuild the dataset")
    return LoadedSplit(problems, rejected)


def stream_problems(path: str, split: str) -> Iterator[Problem | RejectedRow]:
    """The rows of `load_problems` one by one, so that a reader who has enough may stop. Raises what it raises
    but for a split without a usable row."""
    return read_problems(_local_rows(Path(path), split) if exists_locally(path) else _hub_rows(path, split))


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


def _local_rows(directory: Path, split: str) -> Iterator[dict[str, Any]]:
    for file in _split_files(directory, split):
        yield from parquet_rows(file, wanted_columns)


def _split_files(directory: Path, split: str) -> list[Path]:
    where = escape(str(directory), 200)
    if not directory.is_dir():
        raise UserError(f"{where}: not a directory; give the directory that holds {escape(split)}.parquet")
    found = parquet_files(directory)
    files = [file for file in found if split_of(file) == split]
    if not files:
        splits = escape(", ".join(sorted({split_of(file) for file in found})), 300) or "none"
        raise UserError(
            f"{where}: no split '{escape(split)}' here, available: {splits}; is it a data_prep directory?"
        )
    return files


def parquet_files(directory: Path) -> list[Path]:
    """A dataset directory's parquet files, sorted: its own and those of its folder `data`, as on the Hub."""
    return sorted(file for folder in (directory, directory / "data") for file in folder.glob("*.parquet"))


def _hub_rows(name: str, split: str) -> Iterator[dict[str, Any]]:
    if not may_be_hub_id(name):
        raise UserError(
            f"{escape(name, 200)}: {missing_reason(name)}; write one with 'python -m data_prep', "
            "or give a Hub id"
        )
    yield from hub_rows(load_hub(name, split), wanted_columns, name)
