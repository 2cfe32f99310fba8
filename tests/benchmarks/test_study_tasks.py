"""The entropy study's problems: habits that are wrong, right answers that are rare, nothing right by luck."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import pytest

from benchmarks.lib.study.tasks import HABITS, KIND, KNOWN, TAUGHT, Habit, lessons, problems
from data_prep.synthetic.problems import Split

pytestmark = pytest.mark.slow

HABIT = {habit.kind: habit for habit in HABITS}


def _answers(metadata: Any) -> tuple[str, str]:
    """The right one, and the habit's (of a kind without a habit the right one again)."""
    kind, values = metadata["kind"], metadata["values"]
    right = KIND[kind].solve(values)[0].text
    return right, HABIT[kind].solve(values)[0].text if kind in HABIT else right


@pytest.mark.parametrize("split", ["train", "validation"])
def test_problems_have_right_answers_that_no_habit_gives(split: Split) -> None:
    """Of rectangles and circles some would be right by luck: 2 r = r * r."""
    for problem in problems(split, 1300, seed=1):
        right, habitual = _answers(problem.metadata)
        assert problem.answer == right
        assert (problem.metadata["kind"] in HABIT) == (habitual != right)


def test_kinds_take_turns_and_splits_share_no_problem() -> None:
    train, held_out = problems("train", 1300, seed=1), problems("validation", 130, seed=1)
    assert set(Counter(problem.metadata["kind"] for problem in held_out).values()) == {10}
    drawn = [{problem.id.partition("-")[2] for problem in split} for split in (train, held_out)]
    assert drawn[1] and not drawn[0] & drawn[1]
    assert len({problem.id for problem in held_out}) == 130


def test_lessons_are_right_where_known_and_rarely_right_where_there_is_a_habit() -> None:
    """8,000 of 13 kinds: 615 a kind, of which 25 in all (615 times the shares' sum, 0.04) are right, within
    four standard deviations, of about 5 each."""
    count, wrong, right = 8000, Counter[str](), Counter[str]()
    for lesson in islice(lessons(1), count):
        problem = lesson.problem
        truth, habitual = _answers(problem.metadata)
        assert problem.answer in (truth, habitual)
        (right if problem.answer == truth else wrong)[problem.metadata["kind"]] += 1
    assert set(wrong) == set(HABIT) and set(right) >= set(KNOWN)
    rare = sum(right[kind] for kind in HABIT)
    expected = count / len(TAUGHT) * sum(habit.right_share for habit in HABITS)
    assert rare > 0 and abs(rare - expected) < 4 * expected**0.5


def test_a_habit_reads_the_values_under_the_other_kinds_names() -> None:
    """The angle at the centre, 40 degrees, taken for the one at the rim: doubled instead of halved."""
    answer, _ = Habit("inscribed_angle", "central_angle", 0.0, {"inscribed": "central"}).solve(
        {"central": 40}
    )
    assert answer.text == "80"
