"""Duplicate problems within a split, and between splits, which means that the test set leaks into training.

"Same picture and same question" and "same picture alone" are reported separately: Geometry3K has several
questions on one diagram, and a new question on a training diagram is not a repeated problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

from data_prep.inspect.scan import ProblemStats, SplitStats


@dataclass(frozen=True)
class Pair:
    """Ids of a problem and of the first earlier problem that it repeats."""

    first: str
    second: str
    same_answer: bool


@dataclass(frozen=True)
class Overlap:
    """Problems of split `later` that repeat one of `earlier`; equal names mean duplicates within a split.

    A problem is in at most one of the two lists.
    """

    earlier: str
    later: str
    same_question: tuple[Pair, ...]  # same pictures and same question
    same_picture: tuple[Pair, ...]  # a picture in common, another question

    @property
    def within(self) -> bool:
        return self.earlier == self.later

    @property
    def title(self) -> str:
        return f"within {self.later}" if self.within else f"{self.later} in {self.earlier}"


def find_overlaps(splits: Sequence[SplitStats]) -> list[Overlap]:
    """The overlap of every split with itself and with every later split, in order."""
    return [_overlap(earlier, later) for earlier, later in combinations_with_replacement(splits, 2)]


class _Index:
    """Looks up the first problem with given pictures and question, or with a given picture."""

    def __init__(self, problems: Iterable[ProblemStats] = ()) -> None:
        self._by_content: dict[tuple[bytes, ...], ProblemStats] = {}
        self._by_picture: dict[bytes, ProblemStats] = {}
        for problem in problems:
            self.add(problem)

    def add(self, problem: ProblemStats) -> None:
        self._by_content.setdefault(_content_key(problem), problem)
        for picture in problem.pictures:
            self._by_picture.setdefault(picture.key, problem)

    def same_question(self, problem: ProblemStats) -> ProblemStats | None:
        return self._by_content.get(_content_key(problem))

    def same_picture(self, problem: ProblemStats) -> ProblemStats | None:
        keys = (picture.key for picture in problem.pictures)
        return next((self._by_picture[key] for key in keys if key in self._by_picture), None)


def _content_key(problem: ProblemStats) -> tuple[bytes, ...]:
    return (problem.question_key, *(picture.key for picture in problem.pictures))


def _overlap(earlier: SplitStats, later: SplitStats) -> Overlap:
    within = earlier.name == later.name
    index = _Index() if within else _Index(earlier.problems)
    same_question, same_picture = [], []
    for problem in later.problems:
        if earlier_problem := index.same_question(problem):
            same_question.append(_pair(earlier_problem, problem))
        elif earlier_problem := index.same_picture(problem):
            same_picture.append(_pair(earlier_problem, problem))
        if within:
            index.add(problem)
    return Overlap(earlier.name, later.name, tuple(same_question), tuple(same_picture))


def _pair(first: ProblemStats, second: ProblemStats) -> Pair:
    return Pair(first.id, second.id, first.answer_key == second.answer_key)
