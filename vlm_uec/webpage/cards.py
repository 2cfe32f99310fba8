"""The card of a problem on a page: pictures, question and truth; styles of cards and filters."""

from __future__ import annotations

from collections.abc import Sequence

from vlm_uec.data.validation import IMAGE_MARK
from vlm_uec.rewards import lists_choices
from vlm_uec.types import Problem
from vlm_uec.webpage.html import Html, element, picture, text
from vlm_uec.webpage.text_budget import cut
from vlm_uec.webpage.thumbnail import thumbnail

MAX_PICTURES = 4  # per problem
STYLE = """
.filters { position: sticky; top: 0; z-index: 1; background: var(--page); padding: 10px 0 2px;
  max-height: 30vh; overflow-y: auto; }
:root { --right: #17784a; --wrong: #b3402e; }
@media (prefers-color-scheme: dark) { :root { --right: #5cc793; --wrong: #f08a76; } }
.problems { list-style: none; margin: 0; padding: 0; counter-reset: shown; display: flex;
  flex-direction: column; gap: 12px; }
.filtered { counter-increment: shown; }
.problems > .shown { order: -1; color: var(--dim); }
.shown::before { content: counter(shown) " shown"; }
.problem { display: grid; grid-template-columns: 230px minmax(0, 1fr); gap: 4px 18px;
  content-visibility: auto; contain-intrinsic-size: auto 210px; }
.problem:not(:has(> .pictures)) { grid-template-columns: minmax(0, 1fr); }
.problem > .pictures { margin: 0; align-content: start; } .problem img { height: 170px; }
.problem p { margin: 0 0 6px; white-space: pre-line; }
.problem .body-text { color: var(--ink); font-size: 15px; }
.problem .name { font: 12px ui-monospace, monospace; }
.problem .truth b { color: var(--ink); }
.response pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 340px;
  overflow-y: auto; font: 12px/1.5 ui-monospace, monospace; unicode-bidi: plaintext; }
.right { color: var(--right); } .wrong, .chips .wrong { color: var(--wrong); }
@media (max-width: 800px) { .problem { grid-template-columns: minmax(0, 1fr); }
  .filters { position: static; max-height: none; } }
"""


def pictures_of(images: Sequence[bytes], max_bytes: int) -> Html:
    """The first pictures, each of at most `max_bytes`; a message replaces an unreadable or large one."""
    parts = [_thumbnail(data, number, max_bytes) for number, data in enumerate(images[:MAX_PICTURES], 1)]
    if len(images) > MAX_PICTURES:
        parts.append(element("p", text(f"{len(images)} pictures, {MAX_PICTURES} shown")))
    return element("div", *parts, kind="pictures")


def question_of(problem: Problem) -> list[Html]:
    """Id, question, choices if the question text does not list them, and the truth."""
    # Image marks are informative only if there are several pictures.
    several = len(problem.images) > 1
    question = problem.question if several else problem.question.replace(IMAGE_MARK, "").strip()
    choices = () if lists_choices(problem) else problem.choices[:12]
    lettered = [f"({chr(ord('A') + i)}) {cut(choice, 120)}" for i, choice in enumerate(choices)]
    if lettered and len(problem.choices) > len(lettered):
        lettered.append(f"… {len(problem.choices)} in total")
    return [
        element("p", text(cut(problem.id, 160)), kind="name"),
        element("p", text(cut(question, 1500)), kind="body-text"),
        *([element("p", text("\u2003".join(lettered)))] if lettered else []),
        element("p", text("truth "), element("b", text(cut(problem.answer, 300))), kind="truth"),
    ]


def _thumbnail(data: bytes, number: int, max_bytes: int) -> Html:
    try:
        small = thumbnail(data, max_bytes)
    except ValueError as error:
        return element("p", text(cut(f"picture {number}: {error}", 200)))
    if len(small) > max_bytes:
        return element("p", text(f"picture {number}: omitted, no space left on this page"))
    return picture(small, f"picture {number}")
