"""Groups of an evaluation's problems, by answer form and by the metadata of the data set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from vlm_uec.data.answer_form import answer_form
from vlm_uec.types import Problem

MAX_GROUPS = 40  # per kind; a field with more values identifies problems instead of grouping them
MAX_NAME = 80  # characters
# The kinds of most interest, in this order; the others follow in the order of the data set.
FIRST_KINDS = ("answer form", "task", "skills", "source", "grade")

Groups = Mapping[str, Mapping[str, list[str]]]  # problem ids by kind ("task") and group ("geometry …")


def group_problems(problems: Iterable[Problem]) -> Groups:
    """Kinds with at least two groups and on average two problems per group.

    FIRST_KINDS come first; groups are sorted by name.

    Kinds are the answer form, the question type, the answer type, and every metadata field that is a string,
    a boolean, an integer or a list of these. A problem with several values is in several groups.
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
