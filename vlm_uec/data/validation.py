"""Validation of problems: texts, picture marks and pictures."""

from __future__ import annotations

from vlm_uec.data.decode import picture_defect
from vlm_uec.types import Problem

IMAGE_MARK = "<image>"
MAX_TEXT_CHARACTERS = 20_000


class InvalidRow(ValueError):
    """A row cannot be used: the reason, under which it is counted, and the start of the value at fault."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail[:200]


def problem_defect(problem: Problem) -> str | None:
    """Why a problem cannot be trained on, or None. Only the headers of pictures are read."""
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
    return next(filter(None, map(picture_defect, problem.images)), None)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
