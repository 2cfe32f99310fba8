"""A problem as it stands on a page's card: its pictures, question and truth. Beside it: what filters move."""

from __future__ import annotations

from collections.abc import Sequence

from vlm_uec.data.validation import IMAGE_MARK
from vlm_uec.rewards import lists_choices
from vlm_uec.types import Problem
from vlm_uec.webpage.html import Html, element, picture, text
from vlm_uec.webpage.text_budget import cut
from vlm_uec.webpage.thumbnail import thumbnail

MAX_PICTURES = 4  # of a problem
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
.problem p { margin: 0 0 6px; white-space: pre-line; } .problem .said { color: var(--ink); font-size: 15px; }
.problem .name { font: 12px ui-monospace, monospace; }
.problem .truth b { color: var(--ink); }
.response pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 340px;
  overflow-y: auto; font: 12px/1.5 ui-monospace, monospace; unicode-bidi: plaintext; }
.right { color: var(--right); } .wrong, .chips .wrong { color: var(--wrong); }
@media (max-width: 800px) { .problem { grid-template-columns: minmax(0, 1fr); }
  .filters { position: static; max-height: none; } }
"""


def pictures_of(images: Sequence[bytes], most: int) -> Html:
    """The first pictures, each in `most` bytes; what is broken or has no room is told in its place."""
    parts = [_small(data, number, most) for number, data in enumerate(images[:MAX_PICTURES], 1)]
    if len(images) > MAX_PICTURES:
        parts.append(element("p", text(f"{len(images)} pictures, {MAX_PICTURES} shown")))
    return element("div", *parts, kind="pictures")


def question_of(problem: Problem) -> list[Html]:
    """Id, question, the choices that it does not list itself, and the truth."""
    # The marks tell something only where there are several pictures.
    several = len(problem.images) > 1
    question = problem.question if several else problem.question.replace(IMAGE_MARK, "").strip()
    told = () if lists_choices(problem) else problem.choices[:12]
    lettered = [f"({chr(ord('A') + i)}) {cut(choice, 120)}" for i, choice in enumerate(told)]
    if lettered and len(problem.choices) > len(lettered):
        lettered.append(f"… {len(problem.choices)} in all")
    return [
        element("p", text(cut(problem.id, 160)), kind="name"),
        element("p", text(cut(question, 1500)), kind="said"),
        *([element("p", text("\u2003".join(lettered)))] if lettered else []),
        element("p", text("truth "), element("b", text(cut(problem.answer, 300))), kind="truth"),
    ]


def _small(data: bytes, number: int, most: int) -> Html:
    try:
        small = thumbnail(data, most)
    except ValueError as error:
        return element("p", text(cut(f"picture {number}: {error}", 200)))
    if len(small) > most:
        return element("p", text(f"picture {number}: left out, no room on this page"))
    return picture(small, f"picture {number}")
