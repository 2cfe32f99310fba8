"""Reads the correct answer of a row as data sets for other trainers write it.

R1-V and VLM-R1 write `<answer> 3 </answer>`, GSM8K writes a solution and `#### 3`, and many data sets store
numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from vlm_uec.data.validation import InvalidRow
from vlm_uec.verifier.arguments import number_text

TAGS, FINAL_MARK, NUMBER = "<answer> tags", "the text after ####", "a number"
# The key of `Problem.metadata` that names the form, so that `data_prep` and `inspect` can count it.
READ_FROM = "answer_read_from"

_OPEN, _CLOSE, _FINAL = "<answer>", "</answer>", "####"


@dataclass(frozen=True)
class AnswerText:
    """An answer as plain text, and the form that it was read from (None: it was plain text)."""

    text: str
    read_from: str | None = None


def read_answer(value: Any, name: str) -> AnswerText:
    """The answer of a cell; `name` of the cell for errors.

    Raises InvalidRow if it is null, neither text nor a finite number, or has only one of the two tags.
    """
    if value is None:
        raise InvalidRow(f"'{name}' is null")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return _from_text(value, name)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not math.isfinite(value):
        raise InvalidRow(f"'{name}' is neither text nor a number", repr(value))
    return AnswerText(number_text(value) or "", NUMBER)


def _from_text(text: str, name: str) -> AnswerText:
    _, opened, rest = text.rpartition(_OPEN)
    inner, closed, _ = rest.partition(_CLOSE)
    if bool(opened) != bool(closed):
        raise InvalidRow(f"'{name}' has only one of {_OPEN} and {_CLOSE}", text)
    _, mark, final = inner.rpartition(_FINAL)
    read_from = TAGS if opened else FINAL_MARK if mark else None
    return AnswerText(final.strip() if read_from else text, read_from)
