"""Problems as cards for the page: small pictures, question, answer."""

from __future__ import annotations

from collections.abc import Sequence

from data_prep.inspect.survey import ProblemFacts, SplitFacts
from data_prep.inspect.wording import shortened
from vlm_uec.data.chat import IMAGE_MARK
from vlm_uec.types import Problem
from vlm_uec.webpage.html import Html, element, picture, text
from vlm_uec.webpage.thumbnail import thumbnail

MAX_PICTURES = 4  # a card
MAX_CHOICES = 8


def gallery(problems: Sequence[Problem], split: SplitFacts, number: int) -> list[Html]:
    """`number` cards, or as many as there are, spread evenly over the problems that training would use."""
    facts = {problem.id: problem for problem in split.problems}
    usable = [problem for problem in problems if problem.id in facts]
    number = min(number, len(usable))
    chosen = [usable[place * len(usable) // number] for place in range(number)]
    return [_card(problem, facts[problem.id]) for problem in chosen]


def _card(problem: Problem, facts: ProblemFacts) -> Html:
    pictures = [
        picture(thumbnail(data), f"picture {number}")
        for number, data in enumerate(problem.images[:MAX_PICTURES], 1)
    ]
    chips = [facts.answer_form]
    if len(problem.images) > MAX_PICTURES:
        chips.append(f"{len(problem.images)} pictures, {MAX_PICTURES} shown")
    if facts.prompt_tokens is not None:
        chips.append(f"{facts.prompt_tokens} prompt tokens")
    parts = [
        element("p", text(shortened(problem.id, 120)), kind="name"),
        element("p", text(shortened(_question(problem), 500)), kind="body-text"),
        *_choices(problem.choices),
        element("p", element("b", text(shortened(problem.answer, 200))), kind="body-text"),
        element("div", *(element("span", text(chip)) for chip in chips), kind="chips"),
    ]
    shown = [element("div", *pictures, kind="pictures")] if pictures else []
    return element("div", *shown, *parts, kind="card")


def _question(problem: Problem) -> str:
    """The marks tell something only where there are several pictures."""
    return problem.question.replace(IMAGE_MARK, "").strip() if len(problem.images) < 2 else problem.question


def _choices(choices: Sequence[str]) -> list[Html]:
    if not choices:
        return []
    lines = [f"{chr(ord('A') + place)}. {shortened(choice, 80)}" for place, choice in enumerate(choices)]
    more = [f"… {len(choices)} in all"] if len(choices) > MAX_CHOICES else []
    return [element("p", text("\n".join(lines[:MAX_CHOICES] + more)))]
