"""Scored samples: what an evaluation is made of, and how a line of samples.jsonl holds one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm_uec.errors import UserError
from vlm_uec.escape import escape

SAMPLES, SUMMARY = "samples.jsonl", "summary.json"
VERIFY, OFFICIAL, REWARD = "verify", "official", "reward"  # scorers


@dataclass(frozen=True)
class Score:
    """One scorer's verdict on one response."""

    correct: bool
    extracted: str | None  # the final answer it judged; None where it found none
    reason: str  # in the scorer's words
    rule: str  # which of the scorer's rules decided


@dataclass(frozen=True)
class Sample:
    """A response to a held-out problem, and what scorers say of it. Its key is (problem id, index)."""

    problem_id: str
    index: int
    text: str
    tokens: int | None  # None where others sampled and did not say
    truncated: bool | None  # no end token before the length limit; None as above
    scores: Mapping[str, Score]  # by the scorer's name: "verify", "official", "reward"

    @property
    def key(self) -> tuple[str, int]:
        return self.problem_id, self.index


def sample_line(sample: Sample) -> bytes:
    """One line of JSON in UTF-8, with its line end."""
    scores = {name: vars(score) for name, score in sample.scores.items()}
    line = json.dumps({**vars(sample), "scores": scores}, ensure_ascii=False) + "\n"
    return line.encode("utf-8", "backslashreplace")  # of a lone surrogate it makes JSON's own escape


def read_samples(path: Path, *, torn: bool = False) -> list[Sample]:
    """A file's samples, in its order; `torn`: a last line without an end was being written, and is left out.

    Raises UserError where the file cannot be read or a line holds no sample.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        told = error.strerror or type(error).__name__
        raise UserError(f"{path}: cannot be read ({told}); give a run of eval/passk.py") from error
    lines = data[: whole_lines(data)] if torn else data
    return [_read_sample(path, number, line) for number, line in enumerate(lines.splitlines(), 1)]


def whole_lines(data: bytes) -> int:
    """Length of what lies before the end of the last line that has one."""
    return data.rfind(b"\n") + 1


def _read_sample(path: Path, number: int, line: bytes) -> Sample:
    try:
        row: dict[str, Any] = json.loads(line)
        scores = {str(name): Score(**score) for name, score in row.pop("scores").items()}
        return _checked(Sample(**row, scores=scores))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        told = f"{path}, line {number}: no sample ({escape(str(error), 120)})"
        raise UserError(f"{told}; remove the line, then --resume samples it again") from error


def _checked(sample: Sample) -> Sample:
    """The sample, where its fields are of their types: JSON knows nothing of them. Raises TypeError."""
    counts = [sample.index] if sample.tokens is None else [sample.index, sample.tokens]
    if not all(type(count) is int and count >= 0 for count in counts):
        raise TypeError("index and tokens are whole numbers")
    if not (isinstance(sample.problem_id, str) and isinstance(sample.text, str)):
        raise TypeError("problem_id and text are texts")
    if sample.truncated not in (None, True, False) or type(sample.truncated) is int:
        raise TypeError("truncated is true, false or null")
    for score in sample.scores.values():
        words = [score.reason, score.rule, *([] if score.extracted is None else [score.extracted])]
        if type(score.correct) is not bool or not all(isinstance(word, str) for word in words):
            raise TypeError("a score is not of its types")
    return sample
