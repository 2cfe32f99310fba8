"""An evaluation's problems in groups: by the form of the answer, and by what the data set says of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from vlm_uec.data.answer_form import answer_form
from vlm_uec.types import Problem

MAX_GROUPS = 40  # of one kind; what has more names problems, not kinds of problems
MAX_NAME = 80  # characters
# What people look for, first; then the others, as the data set has them.
FIRST_KINDS = ("answer form", "task", "skills", "source", "grade")

Groups = Mapping[str, Mapping[str, list[str]]]  # kind ("task"), group ("geometry …"), problem ids


def groups_of(problems: Iterable[Problem]) -> Groups:
    """Kinds with two groups or more, and two problems a group on average; FIRST_KINDS first, groups by name.

    Kinds are the answer's form, the question's and the answer's type, and every field of the metadata that
    holds a text, a truth value, a whole number or a list of texts. A problem with several values is in more
    than one group.
    """
    problems = list(problems)
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for problem in problems:
        for kind, value in _labels(problem):
            for name in dict.fromkeys(map(str, value if isinstance(value, list) else [value])):
                found[kind][name[:MAX_NAME]].append(problem.id)
    ranked = sorted(
        found, key=lambda kind: FIRST_KINDS.index(kind) if kind in FIRST_KINDS else len(FIRST_KINDS)
    )
    return {
        kind: dict(sorted(found[kind].items()))
        for kind in ranked
        if 2 <= len(found[kind]) <= min(MAX_GROUPS, len(problems) // 2)
    }


def _labels(problem: Problem) -> Iterable[tuple[str, Any]]:
    yield "answer form", answer_form(problem.answer)
    yield "question type", problem.question_type
    yield "answer type", problem.answer_type
    for kind, value in problem.metadata.items():
        items = value if isinstance(value, list) else [value]
        if items and all(isinstance(item, str | int) for item in items):
            yield str(kind)[:MAX_NAME], value
