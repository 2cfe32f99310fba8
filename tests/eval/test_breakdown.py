from __future__ import annotations

from typing import Any

from eval.breakdown import groups_of
from vlm_uec.types import Problem


def _problem(name: str, answer: str = "7", **metadata: Any) -> Problem:
    return Problem(name, "?", answer, metadata=metadata)


def test_by_the_form_of_the_answer() -> None:
    problems = [
        _problem("a", "7"),
        _problem("b", "3 \\sqrt { 3 }"),
        _problem("c", "12"),
        _problem("d", "2\\sqrt2"),
    ]
    assert groups_of(problems) == {
        "answer form": {"multiple of a root": ["b", "d"], "whole number": ["a", "c"]}
    }


def test_by_every_field_that_names_kinds() -> None:
    problems = [
        _problem("a", task="geometry", grade=3, skills=["algebra", "geometry"], width=1.5, note=None),
        _problem("b", task="charts", grade=3, skills=["algebra"], width=2.5, note=None),
        _problem("c", task="charts", grade=4, skills=[], width=1.5, note=None),
        _problem("d", task="geometry", grade=4, skills=["geometry", "geometry"], width=2.5, note=None),
    ]
    assert groups_of(problems) == {
        "task": {"charts": ["b", "c"], "geometry": ["a", "d"]},
        "grade": {"3": ["a", "b"], "4": ["c", "d"]},
        "skills": {"algebra": ["a", "b"], "geometry": ["a", "d"]},
    }


def test_kinds_that_people_look_for_come_first() -> None:
    """Wherever the data set has them: the console and the page have room for some only."""
    labels = {"zoo": "a", "grade": "b", "task": "c", "area": "d", "source": "e"}
    problems = [
        _problem(name, **{kind: value + str(name in "ab") for kind, value in labels.items()})
        for name in "abcd"
    ]
    assert list(groups_of(problems)) == ["task", "source", "grade", "zoo", "area"]


def test_what_is_the_same_for_all_or_another_for_each_is_no_kind() -> None:
    problems = [_problem(name, split="test", pid=name, half=name in "ab") for name in "abcdef"]
    assert groups_of(problems) == {"half": {"False": ["c", "d", "e", "f"], "True": ["a", "b"]}}


def test_more_than_forty_groups_are_names() -> None:
    problems = [_problem(str(number), picture=str(number % 41)) for number in range(200)]
    assert groups_of(problems) == {}


def test_no_problem_no_group() -> None:
    assert groups_of([]) == {}
