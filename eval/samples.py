"""Scored samples, and their format as lines of samples.jsonl."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm_uec.errors import UserError
from vlm_uec.escape import escape

SAMPLES, SUMMARY = "samples.jsonl", "summary.json"
VERIFY, MATHRULER, OFFICIAL, REWARD = "verify", "mathruler", "official", "reward"  # scorers


@dataclass(frozen=True)
class Score:
    """One scorer's verdict on one response."""

    correct: bool
    extracted: str | None  # the final answer judged; None if none was found
    reason: str  # explanation of the verdict
    rule: str  # which of the scorer's rules decided


@dataclass(frozen=True)
class Sample:
    """A response to a held-out problem with its scores. Its key is (problem id, index)."""

    problem_id: str
    index: int
    text: str
    tokens: int | None  # None if sampled elsewhere and not recorded
    truncated: bool | None  # no end token before the length limit; None as above
    scores: Mapping[str, Score]  # by the scorer's name: "verify", "mathruler", "official", "reward"

    @property
    def key(self) -> tuple[str, int]:
        return self.problem_id, self.index


def sample_line(sample: Sample) -> bytes:
    """One line of JSON in UTF-8, including the newline."""
    scores = {name: vars(score) for name, score in sample.scores.items()}
    line = json.dumps({**vars(sample), "scores": scores}, ensure_ascii=False) + "\n"
    return line.encode("utf-8", "backslashreplace")  # writes lone surrogates as JSON escapes


def read_samples(path: Path, *, allow_torn: bool = False) -> list[Sample]:
    """The samples of a file, in file order. `allow_torn`: skips an incomplete last line.

    Raises UserError if the file cannot be read or a line is not a sample.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(f"{path}: cannot be read ({reason}); give a run of eval/passk.py") from error
    lines = data[: complete_lines_size(data)] if allow_torn else data
    return [_read_sample(path, number, line) for number, line in enumerate(lines.splitlines(), 1)]


def complete_lines_size(data: bytes) -> int:
    """Size in bytes up to and including the last newline."""
    return data.rfind(b"\n") + 1


def _read_sample(path: Path, number: int, line: bytes) -> Sample:
    try:
        row: dict[str, Any] = json.loads(line)
        scores = {str(name): Score(**score) for name, score in row.pop("scores").items()}
        return _check_types(Sample(**row, scores=scores))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        message = f"{path}, line {number}: not a sample ({escape(str(error), 120)})"
        raise UserError(f"{message}; remove the line, and --resume samples it again") from error


def _check_types(sample: Sample) -> Sample:
    """Returns the sample. Raises TypeError if a field does not have its declared type."""
    counts = [sample.index] if sample.tokens is None else [sample.index, sample.tokens]
    if not all(type(count) is int and count >= 0 for count in counts):
        raise TypeError("index and tokens must be integers of at least 0")
    if not (isinstance(sample.problem_id, str) and isinstance(sample.text, str)):
        raise TypeError("problem_id and text must be strings")
    if sample.truncated not in (None, True, False) or type(sample.truncated) is int:
        raise TypeError("truncated must be true, false or null")
    for score in sample.scores.values():
        words = [score.reason, score.rule, *([] if score.extracted is None else [score.extracted])]
        if type(score.correct) is not bool or not all(isinstance(word, str) for word in words):
            raise TypeError("a score has a field of the wrong type")
    return sample
