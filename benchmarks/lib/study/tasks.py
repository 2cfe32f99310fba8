"""The entropy study's problems: some that the base model does well, some for which it has a wrong habit.

A habit answers one kind of problem by another kind's rule: the inscribed angle doubled instead of halved. In
the base model's lessons a small share of a habit's problems is answered right, so that the right rule is in
the model, and rare. Problems on which both rules agree are left out: they would pay for the wrong one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from random import Random

from data_prep.synthetic.kinds import KINDS, AnswerWithSteps, ProblemKind
from data_prep.synthetic.problems import Split, SyntheticProblem, assigned_split, make_problem, problem_id
from data_prep.synthetic.sketches import Values
from vlm_uec.types import Problem

KIND = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True)
class Habit:
    """What a kind is mistaken for, and the share of lessons in which it is not."""

    kind: str
    mistaken_for: str
    right_share: float
    values: Mapping[str, str] = field(default_factory=dict)  # the other kind's names, where they differ

    def solve(self, values: Values) -> AnswerWithSteps:
        """The wrong answer, with its reasoning."""
        other = {name: values[mine] for name, mine in self.values.items()} if self.values else values
        return KIND[self.mistaken_for].solve(other)


KNOWN = (
    "triangle_angle",
    "parallel_lines",
    "exterior_angle",
    "central_angle",
    "rectangle_perimeter",
    "circle_circumference",
    "hypotenuse",
    "similar_triangles",
)
HABITS = (
    Habit("inscribed_angle", "central_angle", 0.01, {"inscribed": "central"}),
    Habit("isosceles_angle", "parallel_lines", 0.012, {"a": "apex"}),
    Habit("rectangle_area", "rectangle_perimeter", 0.001),
    Habit("rectangle_diagonal", "rectangle_area", 0.002),
    Habit("circle_area", "circle_circumference", 0.015),
)
TAUGHT: tuple[str, ...] = (*KNOWN, *(habit.kind for habit in HABITS))
_HABIT = {habit.kind: habit for habit in HABITS}


def _draw(rng: Random, kind: ProblemKind, split: Split) -> dict[str, int]:
    """Values of that split, but none for which the wrong rule gives the right answer: 2 r = r * r."""
    habit = _HABIT.get(kind.name)
    while True:
        values = kind.draw_values(rng)
        lucky = habit is not None and habit.solve(values)[0] == kind.solve(values)[0]
        if assigned_split(problem_id(kind, values)) == split and not lucky:
            return values


def lessons(seed: int) -> Iterator[SyntheticProblem]:
    """Endless training-split problems with the solutions that the base model is to learn, right or wrong."""
    rng = Random(f"lessons {seed}")
    drawn = 0
    while True:
        kind = KIND[rng.choice(TAUGHT)]
        values = _draw(rng, kind, "train")
        drawn += 1
        made = make_problem(kind, values, seed=drawn)
        habit = _HABIT.get(kind.name)
        if habit is None or rng.random() < habit.right_share:
            yield made
        else:
            answer, solution = habit.solve(values)
            yield SyntheticProblem(replace(made.problem, answer=answer.text), solution)


def problems(split: Split, count: int, seed: int) -> list[Problem]:
    """`count` problems with their right answers, the kinds in turn; values may come back, drawn elsewhere."""
    rng = Random(f"problems {split} {seed}")
    made = []
    for index in range(count):
        kind = KIND[TAUGHT[index % len(TAUGHT)]]
        problem = make_problem(kind, _draw(rng, kind, split), seed=index).problem
        made.append(replace(problem, id=f"{index:04d}-{problem.id}"))
    return made
