"""Where a response's final answer stands: one pass over the text, linear in its length."""

from __future__ import annotations

import re
from typing import NamedTuple

THINK_END = "</think>"
_BRACES = re.compile(r"\\boxed\s*+\{|\\.|[{}]", re.DOTALL)


class Extraction(NamedTuple):
    """A final answer as the response writes it, and which mark it was found by."""

    text: str
    mark: str  # "box" or "answer tag"


def extract(response: str) -> Extraction | None:
    """After the last `</think>`: the last closed box, else the last `<answer>` tag, else None."""
    conclusion = response[response.rfind(THINK_END) + len(THINK_END) :] if THINK_END in response else response
    box = last_box(conclusion)
    if box is not None:
        return Extraction(box.strip(), "box")
    tag = _last_tag(conclusion)
    return None if tag is None else Extraction(tag.strip(), "answer tag")


def last_box(text: str) -> str | None:
    r"""Content of the `\boxed{...}` whose brace closes last; an unclosed box does not count."""
    openings: list[int | None] = []  # start of the content for a box, None for a plain brace
    span: tuple[int, int] | None = None
    for token in _BRACES.finditer(text):
        found = token.group()
        if found == "}":
            start = openings.pop() if openings else None
            span = span if start is None else (start, token.start())
        elif found == "{":
            openings.append(None)
        elif found.startswith("\\boxed") and found.endswith("{"):
            openings.append(token.end())
    # Sliced once: a copy for each of many nested boxes would take quadratic time.
    return None if span is None else text[span[0] : span[1]]


def _last_tag(text: str) -> str | None:
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, end) if end >= 0 else -1
    return None if start < 0 else text[start + len("<answer>") : end]
