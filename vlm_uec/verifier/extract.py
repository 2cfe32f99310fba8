"""Where a response's final answer stands: one pass over the text, linear in its length (policy, rule 1)."""

from __future__ import annotations

import re
from typing import NamedTuple

from vlm_uec.verifier.statement import plain_statement

THINK, THINK_END = "<think>", "</think>"
_BRACES = re.compile(r"\\{0,1}\\(?:boxed|fbox|framebox)\s*+\{|\\.|[{}]", re.DOTALL)
_BARE_BOX = re.compile(
    r"\\(?:boxed|fbox)[ \t]*+(?![{A-Za-z])((?:(?!\$|\\\)|\\\])[^\n{}]){1,200})(\$|\\\)|\\\])?"
    r"|\\boxed[ \t]++([A-Za-z])\b"
)
_BOXES = ("\\boxed", "\\fbox", "\\framebox")


class Extraction(NamedTuple):
    """A final answer as the response writes it, and which mark it was found by."""

    text: str
    mark: str  # "box", "answer tag" or "statement"


def extract(response: str) -> Extraction | None:
    """After the last `</think>`: the last closed box, else the last `<answer>`, else a plain statement."""
    end = response.rfind(THINK_END)
    conclusion = response if end < 0 else _before_new_thinking(response[end + len(THINK_END) :])
    box = last_box(conclusion)
    if box is not None:
        return Extraction(box.strip(), "box")
    tag = _last_tag(conclusion)
    if tag is not None:
        return Extraction(tag.strip(), "answer tag")
    if any(mark in conclusion for mark in (*_BOXES, "<answer>", THINK)):
        return None  # a mark that never closed, or thinking that never ended, concludes nothing
    statement = plain_statement(conclusion)
    return None if statement is None else Extraction(statement, "statement")


def _before_new_thinking(text: str) -> str:
    place = text.find(THINK)
    return text if place < 0 else text[:place]


def last_box(text: str) -> str | None:
    r"""Content of the `\boxed{...}` whose brace closes last, or of a later `\boxed 5`; None without one."""
    first = min((place for box in _BOXES if (place := text.find(box)) >= 0), default=-1)
    if first < 0:
        return None
    openings: list[int | None] = []  # start of the content for a box, None for a plain brace
    span: tuple[int, int] | None = None
    for token in _BRACES.finditer(text, max(first - 1, 0)):
        found = token.group()
        if found == "}":
            start = openings.pop() if openings else None
            span = span if start is None else (start, token.start())
        elif found == "{":
            openings.append(None)
        elif found.endswith("{") and len(found) > 2:
            openings.append(token.end())
    bare = _last_bare_box(text, span[1] if span else first)
    if bare is not None:
        return bare
    # Sliced once: a copy for each of many nested boxes would take quadratic time.
    return None if span is None else text[span[0] : span[1]]


def _last_bare_box(text: str, start: int) -> str | None:
    """`$\\boxed 5$` boxes to the end of its formula, `\\boxed 5` to the next blank."""
    place = max(text.rfind("\\boxed", start), text.rfind("\\fbox", start))
    match = _BARE_BOX.match(text, place) if place >= 0 else None
    if match is None:
        return None
    content = (match[1] or match[3]).strip()
    return content if match[2] or not content else content.split()[0]


def _last_tag(text: str) -> str | None:
    start = text.rfind("<answer>", 0, max(text.rfind("</answer>"), 0))
    if start < 0:
        return None
    start += len("<answer>")
    return text[start : text.find("</answer>", start)]
