"""Multiple choice: which listed choice an answer names, by letter or by its text (policy, rule 7)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from vlm_uec.verifier.normalise import as_text, normalise

_LETTER = re.compile(r"\( ?([A-Z]) ?\)\s*(.*)|([A-Z])\s*[.:)]\s*(.+)|([A-Z])", re.DOTALL)


class Pick(NamedTuple):
    """The place of a choice named by letter, and what was written behind the letter ("" for a bare one)."""

    place: int
    rest: str


def read_letter(text: str) -> Pick | None:
    """`C`, `(C)`, `C. text`, `(C) text`; None where the text names no letter."""
    match = _LETTER.fullmatch(normalise(text))
    if match is None:
        return None
    letter = match[1] or match[3] or match[5]
    return Pick(ord(letter) - ord("A"), (match[2] or match[4] or "").strip())


def truth_index(answer: str, choices: Sequence[str]) -> int | None:
    """Where the truth stands among the choices: by its text, else by its letter."""
    texts = [as_text(choice) for choice in choices]
    if as_text(answer) in texts:
        return texts.index(as_text(answer))
    pick = read_letter(answer)
    return pick.place if pick and not pick.rest and pick.place < len(choices) else None


def letters_are_texts(choices: Sequence[str]) -> bool:
    """Choices such as "B", "A", "D": a bare letter could then mean the letter or the text."""
    return any(re.fullmatch("[A-Z]", normalise(choice)) for choice in choices)
