"""Extract the final answer of a response in time linear in its length (policy, rule 1)."""

from __future__ import annotations

import re
from typing import NamedTuple

from vlm_uec.verifier.hidden import HIDING_GROUP, visible
from vlm_uec.verifier.statement import plain_statement
from vlm_uec.verifier.strictness import DEFAULT, Strictness

THINK, THINK_END = "<think>", "</think>"
_BRACES = re.compile(
    rf"\\{{0,1}}\\(?:boxed|fbox|framebox)\s*+\{{|(?P<hiding>{HIDING_GROUP})|\\.|[{{}}]", re.DOTALL
)
_HIDING = re.compile(HIDING_GROUP)
_HIDDEN = -1  # in place of the start of a box
_BARE_BOX = re.compile(
    r"\\(?:boxed|fbox)[ \t]*+(?![{A-Za-z])((?:(?!\$|\\\)|\\\])[^\n{}]){1,200})(\$|\\\)|\\\])?"
    r"|\\boxed[ \t]++([A-Za-z])\b"
)
_BOXES = ("\\boxed", "\\fbox", "\\framebox")


class Extraction(NamedTuple):
    """A final answer as written in the response, and the kind of marker that locates it."""

    text: str
    marker: str  # "box", "answer tag" or "statement"
    others: tuple[str, ...] = ()  # further values that a statement asserts and that must be right as well


def extract(response: str, strictness: Strictness = DEFAULT) -> Extraction | None:
    """The last closed box after the last `</think>`, else the last `<answer>`, else a plain statement.

    If `strictness` accepts the thinking, else the last closed box of the whole response.
    """
    end = response.rfind(THINK_END)
    conclusion = response if end < 0 else _cut_at_think_tag(response[end + len(THINK_END) :])
    found = _extract_from(conclusion, strictness)
    if found is not None or strictness.thinking == "ignore" or any(box in conclusion for box in _BOXES):
        return found
    box = last_box(response)
    return None if box is None else Extraction(box.strip(), "box")


def _extract_from(conclusion: str, strictness: Strictness) -> Extraction | None:
    shown = visible(conclusion)
    box = last_box(shown)
    if box is not None:
        return Extraction(box.strip(), "box")
    if strictness.statements == "boxed_only":
        return None
    tag = _last_tag(shown)
    if tag is not None:
        return Extraction(tag.strip(), "answer tag")
    if any(marker in conclusion for marker in (*_BOXES, "<answer>", THINK)):
        return None  # an unclosed box, tag or thinking block gives no answer
    values = plain_statement(conclusion)
    return None if values is None else Extraction(values[0], "statement", values[1:])


def _cut_at_think_tag(text: str) -> str:
    position = text.find(THINK)
    return text if position < 0 else text[:position]


def last_box(text: str) -> str | None:
    r"""Content of the `\boxed{...}` that closes last, or of a later `\boxed 5`; None if there is no box.

    A box inside a group that is not shown, such as `\phantom{...}`, does not count.
    """
    first_box = min((position for box in _BOXES if (position := text.find(box)) >= 0), default=-1)
    if first_box < 0:
        return None
    openings: list[int | None] = []  # start of a box's content, None for a plain brace
    hidden = 0  # open groups that are not shown
    hiding = _HIDING.search(text, 0, first_box)
    span: tuple[int, int] | None = None
    for token in _BRACES.finditer(text, hiding.start() if hiding else max(first_box - 1, 0)):
        matched = token.group()
        if matched == "}":
            start = openings.pop() if openings else None
            if start == _HIDDEN:
                hidden -= 1
            elif start is not None and not hidden:
                span = (start, token.start())
        elif matched == "{":
            openings.append(None)
        elif token["hiding"]:
            openings.append(_HIDDEN)
            hidden += 1
        elif matched.endswith("{") and len(matched) > 2:
            openings.append(token.end())
    bare = _last_bare_box(text, span[1] if span else first_box)
    if bare is not None:
        return bare
    # One slice at the end: a copy for each of many nested boxes would take quadratic time.
    return None if span is None else text[span[0] : span[1]]


def _last_bare_box(text: str, start: int) -> str | None:
    """`$\\boxed 5$` extends to the end of its formula, `\\boxed 5` to the next space."""
    position = max(text.rfind("\\boxed", start), text.rfind("\\fbox", start))
    match = _BARE_BOX.match(text, position) if position >= 0 else None
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
