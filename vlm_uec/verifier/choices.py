"""Multiple choice: find the listed choice that an answer names by letter or text (policy, rule 7)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from vlm_uec.verifier.normalise import as_text, cached_as_text, normalise

MAX_CHOICES = 26
_LEAD_IN = re.compile(
    r"^(?:(?:the )?(?:correct )?(?:option|choice|answer)(?: is)?:? ?|选项|选择|应选|故选|选)[:：]? ?"
    r"(?=\(?[A-Za-z](?![A-Za-z]))",
    re.IGNORECASE,
)
_CHINESE_OPTION = re.compile(r"^(\(?[A-Za-z]\)?) ?(?:选项|项)")
_LETTER = re.compile(
    r"[(\[] ?([A-Za-z]) ?[)\]][.:,]?\s*(.*)|([A-Za-z]) ?[.:),、]\s*(.+)"
    r"|([A-Za-z]) ?[)]?|([A-Za-z]) - (.+)|([A-Z]) (?=[-0-9\\.(])(.+)",
    re.DOTALL,
)
_TRAILING_LETTER = re.compile(r"(.+?) ?\( ?(?:option |choice )?([A-Z]) ?\)", re.DOTALL | re.IGNORECASE)


class ChoiceLetter(NamedTuple):
    """Index of a choice named by its letter, and the text beside the letter ("" for a bare letter)."""

    choice_index: int
    content: str


def parse_choice_letter(text: str) -> ChoiceLetter | None:
    """`C`, `(C)`, `C. text`, `(C) text`, `text (C)`, in lower or upper case; None if no letter is named."""
    if len(text) == 1 and text.isascii():
        return ChoiceLetter(ord(text.upper()) - ord("A"), "") if text.isalpha() else None
    plain = _CHINESE_OPTION.sub(r"\1", _LEAD_IN.sub("", normalise(text)))
    if match := _LETTER.fullmatch(plain):
        letter, *contents = [group for group in match.groups() if group]
        content = contents[0] if contents else ""
    elif match := _TRAILING_LETTER.fullmatch(plain):
        letter, content = match[2], match[1]
    else:
        return None
    return ChoiceLetter(ord(letter.upper()) - ord("A"), content.strip())


def find_choice(answer: str, choices: Sequence[str]) -> int | None:
    """Index of the truth among the choices: by its text, else by its letter."""
    if answer in choices:
        return list(choices).index(answer)
    expected, texts = cached_as_text(answer), [cached_as_text(choice) for choice in choices]
    if expected in texts:
        return texts.index(expected)
    letter = parse_choice_letter(answer)
    if letter is None or letter.content or letter.choice_index >= len(choices):
        return None
    return letter.choice_index


def equals_choice_text(text: str, choices: Sequence[str]) -> bool:
    """Whether `text` equals a choice such as "B" or "(c)", so that an apparent letter may be its text."""
    return as_text(text) in [cached_as_text(choice) for choice in choices]
