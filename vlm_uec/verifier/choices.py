"""Multiple choice: which listed choice an answer names, by letter or by its text (policy, rule 7)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from vlm_uec.verifier.normalise import as_text, known_text, normalise

MAX_CHOICES = 26
_LEAD = re.compile(
    r"^(?:(?:the )?(?:correct )?(?:option|choice|answer)(?: is)?:? ?|选项|选择|应选|故选|选)[:：]? ?"
    r"(?=\(?[A-Za-z](?![A-Za-z]))",
    re.IGNORECASE,
)
_LETTER = re.compile(
    r"[(\[] ?([A-Za-z]) ?[)\]][.:,]?\s*(.*)|([A-Za-z]) ?[.:),、]\s*(.+)"
    r"|([A-Za-z]) ?[)]?|([A-Za-z]) - (.+)|([A-Z]) (?=[-0-9\\.(])(.+)",
    re.DOTALL,
)
_TRAILING = re.compile(r"(.+?) ?\( ?(?:option |choice )?([A-Z]) ?\)", re.DOTALL | re.IGNORECASE)


class Pick(NamedTuple):
    """The place of a choice named by letter, and what was written behind the letter ("" for a bare one)."""

    place: int
    rest: str


def read_letter(text: str) -> Pick | None:
    """`C`, `(C)`, `C. text`, `(C) text`, `text (C)`, small or capital; None where it names no letter."""
    if len(text) == 1 and text.isascii():
        return Pick(ord(text.upper()) - ord("A"), "") if text.isalpha() else None
    plain = _LEAD.sub("", normalise(text))
    if match := _LETTER.fullmatch(plain):
        letter, *behind = [group for group in match.groups() if group]
        rest = behind[0] if behind else ""
    elif match := _TRAILING.fullmatch(plain):
        letter, rest = match[2], match[1]
    else:
        return None
    return Pick(ord(letter.upper()) - ord("A"), rest.strip())


def truth_index(answer: str, choices: Sequence[str]) -> int | None:
    """Where the truth stands among the choices: by its text, else by its letter."""
    if answer in choices:
        return list(choices).index(answer)
    wanted, texts = known_text(answer), [known_text(choice) for choice in choices]
    if wanted in texts:
        return texts.index(wanted)
    pick = read_letter(answer)
    return pick.place if pick and not pick.rest and pick.place < len(choices) else None


def is_choice_text(text: str, choices: Sequence[str]) -> bool:
    """Choices such as "B", "A", "D" or "(c)", "(a)": what looks like a letter could then be the text."""
    return as_text(text) in [known_text(choice) for choice in choices]
