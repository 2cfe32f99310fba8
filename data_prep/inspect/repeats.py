"""Problems that come twice: within a split, and between splits, where the test set leaks into training.

"Same picture and same question" and "same picture alone" are reported separately: Geometry3K asks several
questions about one diagram, and a test problem about a training diagram need not be known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

from data_prep.inspect.survey import ProblemFacts, SplitFacts


@dataclass(frozen=True)
class Pair:
    """A problem and the first one before it that it repeats, by id."""

    first: str
    second: str
    same_answer: bool


@dataclass(frozen=True)
class Overlap:
    """Problems of split `later` that repeat one of `earlier`; one split's name twice: within that split.

    Each problem is in one of the two lists at most.
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


def find_overlaps(splits: Sequence[SplitFacts]) -> list[Overlap]:
    """Every split with itself and with every later one, in order."""
    return [_overlap(earlier, later) for earlier, later in combinations_with_replacement(splits, 2)]


class _Seen:
    """The first problem with given pictures and question, and the first one with a given picture."""

    def __init__(self, problems: Iterable[ProblemFacts] = ()) -> None:
        self._whole: dict[tuple[bytes, ...], ProblemFacts] = {}
        self._by_picture: dict[bytes, ProblemFacts] = {}
        for problem in problems:
            self.add(problem)

    def add(self, problem: ProblemFacts) -> None:
        self._whole.setdefault(_whole_key(problem), problem)
        for picture in problem.pictures:
            self._by_picture.setdefault(picture.key, problem)

    def same_question(self, problem: ProblemFacts) -> ProblemFacts | None:
        return self._whole.get(_whole_key(problem))

    def same_picture(self, problem: ProblemFacts) -> ProblemFacts | None:
        keys = (picture.key for picture in problem.pictures)
        return next((self._by_picture[key] for key in keys if key in self._by_picture), None)


def _whole_key(problem: ProblemFacts) -> tuple[bytes, ...]:
    return (problem.question_key, *(picture.key for picture in problem.pictures))


def _overlap(earlier: SplitFacts, later: SplitFacts) -> Overlap:
    within = earlier.name == later.name
    seen = _Seen() if within else _Seen(earlier.problems)
    same_question, same_picture = [], []
    for problem in later.problems:
        if twin := seen.same_question(problem):
            same_question.append(_pair(twin, problem))
        elif twin := seen.same_picture(problem):
            same_picture.append(_pair(twin, problem))
        if within:
            seen.add(problem)
    return Overlap(earlier.name, later.name, tuple(same_question), tuple(same_picture))


def _pair(first: ProblemFacts, second: ProblemFacts) -> Pair:
    return Pair(first.id, second.id, first.answer_key == second.answer_key)
