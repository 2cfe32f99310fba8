"""Computes a recorded score of verl's geo3k reward, and finds the problem that a response quotes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from vlm_uec.mathruler.client import Grader

FORMAT = re.compile(r"<think>.*</think>.*\\boxed\{.*\}.*", re.DOTALL)  # of verl's geo3k reward
MIN_QUOTED = 20  # letters and digits of a question that counts as quoted in a response

Row = Mapping[str, Any]


def format_part(score: float) -> bool:
    """Whether the recorded score contains the 0.1 of a right format."""
    return round(score, 6) in (0.1, 1.0)


def reproduced(row: Row, grader: Grader) -> float:
    right = grader.grade(row["response"], row["answer"]).correct
    return round(0.9 * right + 0.1 * bool(FORMAT.fullmatch(row["response"])), 6)


def quoted_problem(response: str, problems: Mapping[int, Row]) -> int | None:
    """The problem with the longest question that the response quotes; None if it is none, or several."""
    words = _letters(response)
    questions = {name: _letters(problem["problem"]) for name, problem in problems.items()}
    found = {name: len(text) for name, text in questions.items() if len(text) >= MIN_QUOTED and text in words}
    longest = [name for name, length in found.items() if length == max(found.values())]
    return longest[0] if len(longest) == 1 else None


def _letters(text: str) -> str:
    return re.sub(r"\\[a-zA-Z]+|[^a-zA-Z0-9]", "", text).lower()
