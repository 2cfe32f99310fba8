r"""The written form of an answer: `7`, `2.5`, `3 \sqrt { 3 }`, `\frac { 2 } { 5 }`, ...

The form depends on the notation, not on the value: `\frac { 4 } { 2 }` is a fraction. Equivalent spellings
have the same form: `3√3`, `3\sqrt3` and `3 \sqrt { 3 }` are multiples of a root.
"""

from __future__ import annotations

import re

from vlm_uec.verifier.normalise import MAX_TEXT, normalise
from vlm_uec.verifier.units import split_unit

WHOLE, DECIMAL, FRACTION, RATIO = "whole number", "decimal", "fraction", "ratio"
ROOT, ROOT_MULTIPLE, PI_MULTIPLE = "root", "multiple of a root", "multiple of pi"
COMPOUND = "compound number"  # sums, products and quotients of the above, and mixed numbers
WITH_UNIT, TEXT, OTHER = "number with a unit", "text", "other"
ANSWER_FORMS = (
    WHOLE, DECIMAL, FRACTION, ROOT, ROOT_MULTIPLE, PI_MULTIPLE, RATIO, COMPOUND, WITH_UNIT, TEXT, OTHER,
)  # fmt: skip

_SIGN = "[-+]? ?"
_WHOLE = "(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)"
_DECIMAL = rf"(?:{_WHOLE})?\.[0-9]+"
_NUMBER = rf"(?:{_DECIMAL}|{_WHOLE})"
_TIMES = rf"{_NUMBER} ?\*? ?"
_ROOT = rf"\\?sqrt ?(?:\[ ?[0-9]+ ?\] ?)?(?:\{{ ?{_NUMBER} ?\}}|\( ?{_NUMBER} ?\)|{_NUMBER})"
_FRACTION = (
    rf"(?:{_WHOLE} ?/ ?{_WHOLE}"
    rf"|\\frac ?(?:\{{ ?{_SIGN}{_WHOLE} ?\}} ?\{{ ?{_SIGN}{_WHOLE} ?\}}|[0-9] ?[0-9]))"
)
_PATTERNS = {
    name: re.compile(_SIGN + pattern)
    for name, pattern in {
        WHOLE: _WHOLE,
        DECIMAL: _DECIMAL,
        FRACTION: _FRACTION,
        ROOT: _ROOT,
        ROOT_MULTIPLE: _TIMES + _ROOT,
        PI_MULTIPLE: rf"(?:{_TIMES})?\\pi",
        COMPOUND: r"(?=.*(?:[0-9]|\\pi))(?:[0-9.+*/^(){} -]|\\?sqrt(?: ?\[ ?[0-9]+ ?\])?|\\frac|\\pi)+",
    }.items()
}
_FORMULA = re.compile(r"[\\=<>^+*/_]")
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]{3}")


def answer_form(answer: str) -> str:
    """One of `ANSWER_FORMS`, for any string and in time linear in its length."""
    text = normalise(answer[:MAX_TEXT])
    if form := _number_form(text):
        return form
    bare, unit = split_unit(text)
    if unit and _number_form(bare):
        return WITH_UNIT
    sides = text.split(":")
    if len(sides) > 1 and all(_number_form(side.strip()) for side in sides):
        return RATIO
    return TEXT if _is_text(text) else OTHER


def _number_form(text: str) -> str | None:
    return next((name for name, pattern in _PATTERNS.items() if pattern.fullmatch(text)), None)


def _is_text(text: str) -> bool:
    """Whether the text is words or the letter of a choice: no formula, and digits only beside a word."""
    if _FORMULA.search(text) or not _LETTER.search(text):
        return False
    return bool(_WORD.search(text)) or not any(map(str.isdigit, text))
