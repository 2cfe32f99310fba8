r"""Rewrite LaTeX that answers rarely have: environments of rows, `\over`, doubly escaped backslashes."""

from __future__ import annotations

import re

from vlm_uec.verifier.symbols import COMMANDS

MAX_ENVIRONMENTS = 4
MAX_ROWS = 12
MAX_OVER = 4

_NAMES = "aligned|align|gathered|gather|split|equation|multline"
_BEGIN = re.compile(rf"\\begin\s?\{{({_NAMES})(\*?)\}}(?:\[[a-z]\])?")
_ROW_END = re.compile(r"\\\\(?:\[[0-9.]{1,5}[a-z]{2}\])?")
_ASSIGNMENT = re.compile(
    r"\s*((?:\\(?:angle|text|overline|triangle)\s?|[{}m])*\s*[A-Za-z]{1,4}(?:_\{?\w{1,3}\}?)?[{}]*)\s*="
)
_OVER = re.compile(r"\\over(?![A-Za-z])")
_OTHER_NAMES = "frac sqrt pi sin cos tan theta alpha beta angle triangle odot over begin end"
_ESCAPED_NAMES = "|".join(sorted({*filter(str.isalpha, COMMANDS), *_OTHER_NAMES.split()}, key=len))
_ESCAPED = re.compile(rf"\\{{2,4}}(?=(?:{_ESCAPED_NAMES})(?![A-Za-z])|[,;!%])")
_ESCAPED_MATH = re.compile(r"\s*\\\\[(\[](.*)\\\\[)\]]\s*", re.DOTALL)


def unescape(text: str) -> str:
    r"""Single backslashes for doubled ones before a known command: `\\frac{3}{8}`, `\\(15\\)`."""
    if "\\\\" not in text:
        return text
    inner = _ESCAPED_MATH.fullmatch(text)
    return _ESCAPED.sub(r"\\", inner[1] if inner else text)


def unwrap_environments(text: str) -> str:
    """Replace an environment by its rows; see `_join_rows`."""
    for _ in range(MAX_ENVIRONMENTS):
        begin = _BEGIN.search(text)
        if begin is None:
            return text
        closing = rf"\end{{{begin[1]}{begin[2]}}}"
        end = text.find(closing, begin.end())
        if end < 0:
            return text
        rows = _join_rows(text[begin.end() : end])
        text = f"{text[: begin.start()]} {rows} {text[end + len(closing) :]}"
    return text


def _join_rows(body: str) -> str:
    """Rows as one chain or list.

    A row that starts with `=` continues the row above, and so does a row for the same name: its members must
    agree. Rows that only lead to a name (`2x = 48` above `x = 24`) are dropped; other rows stay a list.
    """
    rows = [" ".join(row.replace("&", "").split()) for row in _ROW_END.split(body)]
    joined: list[str] = []
    for row in filter(None, rows):
        if joined and (row.startswith("=") or (_name(row) and _name(row) == _name(joined[-1]))):
            joined[-1] += " " + row[row.index("=") :]
        else:
            joined.append(row)
    if joined and len(joined) <= MAX_ROWS and _name(joined[-1]):
        joined = [row for row in joined[:-1] if "=" not in row or _name(row)] + joined[-1:]
    return " ; ".join(joined)


def _name(row: str) -> str:
    match = _ASSIGNMENT.match(row)
    return match[1].replace(" ", "") if match else ""


def replace_over(text: str) -> str:
    r"""`{3 \over 8}` as `\frac{3}{8}`; it takes in everything up to the enclosing braces."""
    for _ in range(MAX_OVER):
        over = _OVER.search(text)
        if over is None:
            return text
        start, end = _enclosing_braces(text, over.start())
        numerator, denominator = text[start + 1 : over.start()].strip(), text[over.end() : end].strip()
        if not numerator or not denominator or _OVER.search(denominator):
            return text
        text = rf"{text[: max(start, 0)]}\frac{{{numerator}}}{{{denominator}}}{text[end + 1 :]}"
    return text


def _enclosing_braces(text: str, position: int) -> tuple[int, int]:
    """Indices of the braces around `position`, -1 and the length of the text if there are none."""
    start, depth = position - 1, 0
    while start >= 0 and (depth or text[start] != "{"):
        depth += (text[start] == "}") - (text[start] == "{")
        start -= 1
    end, depth = position, 0
    while end < len(text) and (depth or text[end] != "}"):
        depth += (text[end] == "{") - (text[end] == "}")
        end += 1
    return start, end
