"""The entropy study's problems: kinds that the base model solves, and kinds learned with a wrong rule.

A wrong rule solves one kind of problem like another kind: the inscribed angle is doubled instead of halved.
In the base model's training examples a small share of these problems has the right solution, so that the
model knows the right rule but rarely samples it. Problems on which both rules agree are excluded, because
they would reward the wrong rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from random import Random

from data_prep.synthetic.kinds import KINDS, AnswerWithSteps, ProblemKind
from data_prep.synthetic.problems import Split, SyntheticProblem, assigned_split, make_problem, problem_id
from data_prep.synthetic.sketches import Values
from vlm_uec.types import Problem

KINDS_BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True)
class WrongRule:
    """A kind that is solved like another one, and the share of its examples that are solved right."""

    kind: str
    mistaken_for: str
    right_share: float
    # This kind's value names by the other kind's; empty if the names are equal.
    values: Mapping[str, str] = field(default_factory=dict)

    def solve(self, values: Values) -> AnswerWithSteps:
        """The wrong answer with its reasoning."""
        other = {name: values[mine] for name, mine in self.values.items()} if self.values else values
        return KINDS_BY_NAME[self.mistaken_for].solve(other)


KNOWN_KINDS = (
    "triangle_angle",
    "parallel_lines",
    "exterior_angle",
    "central_angle",
    "rectangle_perimeter",
    "circle_circumference",
    "hypotenuse",
    "similar_triangles",
)
WRONG_RULES = (
    WrongRule("inscribed_angle", "central_angle", 0.01, {"inscribed": "central"}),
    WrongRule("isosceles_angle", "parallel_lines", 0.012, {"a": "apex"}),
    WrongRule("rectangle_area", "rectangle_perimeter", 0.001),
    WrongRule("rectangle_diagonal", "rectangle_area", 0.002),
    WrongRule("circle_area", "circle_circumference", 0.015),
)
TAUGHT_KINDS: tuple[str, ...] = (*KNOWN_KINDS, *(wrong_rule.kind for wrong_rule in WRONG_RULES))
_RULE_BY_KIND = {wrong_rule.kind: wrong_rule for wrong_rule in WRONG_RULES}


def _draw(rng: Random, kind: ProblemKind, split: Split) -> dict[str, int]:
    """Values of this split for which the wrong rule gives a wrong answer; excluded is 2 r = r * r."""
    wrong_rule = _RULE_BY_KIND.get(kind.name)
    while True:
        values = kind.draw_values(rng)
        rules_agree = wrong_rule is not None and wrong_rule.solve(values)[0] == kind.solve(values)[0]
        if assigned_split(problem_id(kind, values)) == split and not rules_agree:
            return values


def supervised_examples(seed: int) -> Iterator[SyntheticProblem]:
    """An endless stream of training-split problems with the base model's solutions, right or wrong."""
    rng = Random(f"lessons {seed}")
    count = 0
    while True:
        kind = KINDS_BY_NAME[rng.choice(TAUGHT_KINDS)]
        values = _draw(rng, kind, "train")
        count += 1
        example = make_problem(kind, values, seed=count)
        wrong_rule = _RULE_BY_KIND.get(kind.name)
        if wrong_rule is None or rng.random() < wrong_rule.right_share:
            yield example
        else:
            answer, solution = wrong_rule.solve(values)
            yield SyntheticProblem(replace(example.problem, answer=answer.text), solution)


def problems(split: Split, count: int, seed: int) -> list[Problem]:
    """`count` problems with right answers, the kinds in turn; values may repeat in another drawing."""
    rng = Random(f"problems {split} {seed}")
    drawn = []
    for index in range(count):
        kind = KINDS_BY_NAME[TAUGHT_KINDS[index % len(TAUGHT_KINDS)]]
        problem = make_problem(kind, _draw(rng, kind, split), seed=index).problem
        drawn.append(replace(problem, id=f"{index:04d}-{problem.id}"))
    return drawn
