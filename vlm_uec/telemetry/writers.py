"""Writes a run's metrics.jsonl and sample files, on rank 0 only."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vlm_uec.errors import UserError
from vlm_uec.io.durable import atomic_write
from vlm_uec.io.strict_json import to_json

METRICS = "metrics.jsonl"


class RunWriter:
    """Appends to a run directory; on resume, removes what was written after the checkpoint.

    `resume_step` is the last step whose line is kept, -1 for none: later lines are cut, because the resumed
    run writes them again. None starts a new run and raises `UserError` if the directory contains metrics.
    `sampled`: the last step whose samples are kept; `resume_step` if None.
    """

    def __init__(self, run_dir: Path, resume_step: int | None, sampled: int | None = None):
        run_dir.mkdir(parents=True, exist_ok=True)
        self._run_dir = run_dir
        path = run_dir / METRICS
        if resume_step is not None:
            _write_rows(path, _rows_until(path, resume_step))
            for samples in (run_dir / "samples").glob("step_*.jsonl"):
                number = samples.stem.removeprefix("step_")
                if number.isdecimal() and int(number) > (resume_step if sampled is None else sampled):
                    samples.unlink()
        elif path.exists() and path.stat().st_size:
            raise UserError(f"{path} belongs to an earlier run: resume it or choose another directory")
        self._metrics = path.open("a", encoding="utf-8")

    def metrics(self, step: int, values: Mapping[str, float | None]) -> None:
        """Writes one line for `step`. NaN and infinities become null, because JSON has no such values."""
        if not _is_file(self._run_dir / METRICS, self._metrics.fileno()):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), METRICS)
        self._metrics.write(
            to_json({"step": step, **{k: v for k, v in values.items() if k != "step"}}) + "\n"
        )
        self._metrics.flush()

    def sync(self) -> None:
        """Flushes every line to disk."""
        os.fsync(self._metrics.fileno())

    def samples(self, step: int, rows: Iterable[Mapping[str, Any]]) -> Path:
        """Writes `samples/step_000010.jsonl` atomically; returns its path."""
        path = self._run_dir / "samples" / f"step_{step:06d}.jsonl"
        path.parent.mkdir(exist_ok=True)
        _write_rows(path, rows)
        return path

    def close(self) -> None:
        self._metrics.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_jsonl(path: Path, most: int = -1) -> list[dict[str, Any]]:
    """The rows of a file, or none if it does not exist. An incomplete last line is left out.

    `most`: bytes to read, -1 for all. Raises `UserError` with the line number if any other line is no JSON
    object.
    """
    return [_row(path, number, line) for number, line in enumerate(_lines(path, most), start=1)]


def _lines(path: Path, most: int = -1) -> list[str]:
    """Complete lines: text after the last line end is the remainder of an interrupted write."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        return file.read(most).decode("utf-8", "replace").split("\n")[:-1]


def _row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:  # ValueError also for a number of thousands of digits
        raise UserError(f"{path}, line {number}: {error}; remove that line") from error
    if not isinstance(row, dict):
        raise UserError(f"{path}, line {number}: not a JSON object; remove that line")
    return row


def _rows_until(path: Path, last: int) -> list[dict[str, Any]]:
    """Rows of steps up to `last`. Later rows are cut, so they may be damaged."""
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(_lines(path), start=1):
        if last == (_step(rows[-1]) if rows else -1):
            break
        row = _row(path, number, line)
        if _step(row) > last:
            break
        rows.append(row)
    return rows


def _step(row: Mapping[str, Any]) -> int:
    step = row.get("step")
    return step if isinstance(step, int) else sys.maxsize


def _write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    atomic_write(path, ((to_json(row) + "\n").encode("utf-8", "replace") for row in rows))


def _is_file(path: Path, descriptor: int) -> bool:
    """Whether `path` still names the open file: writes to a deleted file succeed and are lost."""
    return path.exists() and os.path.samestat(path.stat(), os.fstat(descriptor))
