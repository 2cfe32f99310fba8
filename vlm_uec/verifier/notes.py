"""Notes behind a value: `(approx.)`, `rounded to the nearest tenth`, `保留一位小数` (rule 4)."""

from __future__ import annotations

import re

_PLACES = {
    "whole number": 0, "integer": 0, "unit": 0, "degree": 0, "whole": 0,
    "tenth": 1, "hundredth": 2, "thousandth": 3,
    "one": 1, "two": 2, "three": 3, "four": 4, "一": 1, "两": 2, "二": 2, "三": 3,
}  # fmt: skip
_NUMERAL = "one|two|three|four|[1-4]"
_ROUNDING = (
    r"(?:(?:when )?(?:rounded|correct|accurate|rounding)(?: off)? )?(?:to )?(?:the )?nearest"
    r" (?P<place>whole number|whole|integer|unit|degree|tenth|hundredth|thousandth)(?: of an? (?:\w+))?"
    r"|(?:(?:rounded|correct|accurate)(?: off)? )?(?:to )?"
    rf"(?:(?P<count>{_NUMERAL}) (?:decimal places?|decimals?|d\.? ?p\.?)"
    rf"|(?:{_NUMERAL}) (?:significant (?:figures?|digits?)|sig\.? ?figs?\.?|s\.? ?f\.?))"
    r"|(?:结果)?保留(?P<chinese>[一两二三1-3])位小数|精确到 ?(?P<step>1|0\.0{0,3}1)|(?:结果)?保留整数"
    r"|近似值|四舍五入"
)
_NOTE = re.compile(
    rf"[,;]? ?(?P<open>[(\[])? ?(?:approx\.?|approximately|{_ROUNDING}) ?(?P<close>[)\]])?\.?$", re.IGNORECASE
)
_ENDS_LIKE_NOTE = re.compile(r"[A-Za-z\u4e00-\u9fff01][.)\] ]*$")


def split_note(text: str) -> tuple[str, int | None]:
    """`text` without a note at its end, and the number of decimals that the note states, if any.

    `text` is normalised.
    """
    note = _NOTE.search(text, max(len(text) - 70, 0)) if _ENDS_LIKE_NOTE.search(text) else None
    if note is None or bool(note["open"]) != bool(note["close"]) or not text[: note.start()].strip():
        return text, None
    return text[: note.start()].rstrip(" ,;"), _decimals(note)


def _decimals(note: re.Match[str]) -> int | None:
    if note["step"]:
        return len(note["step"].partition(".")[2])
    word = note["place"] or note["count"] or note["chinese"]
    if word is None:
        return None
    return int(word) if word.isdigit() else _PLACES[word.casefold()]
