from __future__ import annotations

from typing import Any

from eval.breakdown import group_problems
from vlm_uec.types import Problem


def _problem(name: str, answer: str = "7", **metadata: Any) -> Problem:
    return Problem(name, "?", answer, metadata=metadata)


def test_groups_by_answer_form() -> None:
    problems = [
        _problem("a", "7"),
        _problem("b", "3 \\sqrt { 3 }"),
        _problem("c", "12"),
        _problem("d", "2\\sqrt2"),
    ]
    assert group_problems(problems) == {
        "answer form": {"multiple of a root": ["b", "d"], "whole number": ["a", "c"]}
    }


def test_groups_by_every_metadata_field_with_categories() -> None:
    problems = [
        _problem("a", task="geometry", grade=3, skills=["algebra", "geometry"], width=1.5, note=None),
        _problem("b", task="charts", grade=3, skills=["algebra"], width=2.5, note=None),
        _problem("c", task="charts", grade=4, skills=[], width=1.5, note=None),
        _problem("d", task="geometry", grade=4, skills=["geometry", "geometry"], width=2.5, note=None),
    ]
    assert group_problems(problems) == {
        "task": {"charts": ["b", "c"], "geometry": ["a", "d"]},
        "grade": {"3": ["a", "b"], "4": ["c", "d"]},
        "skills": {"algebra": ["a", "b"], "geometry": ["a", "d"]},
    }


def test_important_kinds_come_first() -> None:
    """The console and the page show only the first kinds."""
    labels = {"zoo": "a", "grade": "b", "task": "c", "area": "d", "source": "e"}
    problems = [
        _problem(name, **{kind: value + str(name in "ab") for kind, value in labels.items()})
        for name in "abcd"
    ]
    assert list(group_problems(problems)) == ["task", "source", "grade", "zoo", "area"]


def test_constant_and_unique_fields_are_no_kinds() -> None:
    problems = [_problem(name, split="test", pid=name, half=name in "ab") for name in "abcdef"]
    assert group_problems(problems) == {"half": {"False": ["c", "d", "e", "f"], "True": ["a", "b"]}}


def test_fields_with_more_than_forty_values_are_no_kinds() -> None:
    problems = [_problem(str(number), picture=str(number % 41)) for number in range(200)]
    assert group_problems(problems) == {}


def test_no_groups_without_problems() -> None:
    assert group_problems([]) == {}
