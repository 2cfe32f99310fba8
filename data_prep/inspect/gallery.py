"""Problems as cards for the page: small pictures, question, answer."""

from __future__ import annotations

from collections.abc import Sequence

from data_prep.inspect.scan import ProblemStats, SplitStats
from data_prep.inspect.shorten import shorten
from vlm_uec.data.chat import IMAGE_MARK
from vlm_uec.types import Problem
from vlm_uec.webpage.html import Html, element, picture, text
from vlm_uec.webpage.thumbnail import thumbnail

MAX_PICTURES = 4  # per card
MAX_CHOICES = 8


def gallery(problems: Sequence[Problem], split: SplitStats, number: int) -> list[Html]:
    """At most `number` cards, evenly spaced over the problems that training would use."""
    stats = {problem.id: problem for problem in split.problems}
    usable = [problem for problem in problems if problem.id in stats]
    number = min(number, len(usable))
    chosen = [usable[index * len(usable) // number] for index in range(number)]
    return [_card(problem, stats[problem.id]) for problem in chosen]


def _card(problem: Problem, stats: ProblemStats) -> Html:
    pictures = [
        picture(thumbnail(data), f"picture {number}")
        for number, data in enumerate(problem.images[:MAX_PICTURES], 1)
    ]
    chips = [stats.answer_form]
    if len(problem.images) > MAX_PICTURES:
        chips.append(f"{len(problem.images)} pictures, {MAX_PICTURES} shown")
    if stats.prompt_tokens is not None:
        chips.append(f"{stats.prompt_tokens} prompt tokens")
    parts = [
        element("p", text(shorten(problem.id, 120)), kind="name"),
        element("p", text(shorten(_question(problem), 500)), kind="body-text"),
        *_choices(problem.choices),
        element("p", element("b", text(shorten(problem.answer, 200))), kind="body-text"),
        element("div", *(element("span", text(chip)) for chip in chips), kind="chips"),
    ]
    shown = [element("div", *pictures, kind="pictures")] if pictures else []
    return element("div", *shown, *parts, kind="card")


def _question(problem: Problem) -> str:
    """The question; its image marks are shown only if it has several pictures."""
    return problem.question.replace(IMAGE_MARK, "").strip() if len(problem.images) < 2 else problem.question


def _choices(choices: Sequence[str]) -> list[Html]:
    if not choices:
        return []
    lines = [f"{chr(ord('A') + index)}. {shorten(choice, 80)}" for index, choice in enumerate(choices)]
    more = [f"… {len(choices)} in all"] if len(choices) > MAX_CHOICES else []
    return [element("p", text("\n".join(lines[:MAX_CHOICES] + more)))]
