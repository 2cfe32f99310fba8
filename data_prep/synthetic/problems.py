"""Seeded streams of problems, in splits that cannot overlap.

A problem is its kind and its values. A hash of those two, free of any seed, says which split may hold it,
so a problem of the test split is in no training split, whatever seed either was made with. The bundled
tiny model was trained on training-split problems only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

from data_prep.synthetic.canvas import Canvas, Placement
from data_prep.synthetic.kinds import KINDS, NEAREST_TENTH, ProblemKind, at_level
from data_prep.synthetic.sketches import Values
from vlm_uec.errors import UserError
from vlm_uec.types import Problem

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

DEFAULT_PIXELS = 84
_SHARES = 10  # of ten problems eight may be in train, one in validation, one in test
_ATTEMPTS = 5000  # draws without a new problem before the levels count as exhausted
_ANSWER_TYPES = {"whole": "integer", "decimal": "float"}


@dataclass(frozen=True)
class SyntheticProblem:
    """A problem and its worked solution. The solution trains the tiny model and is in no data set."""

    problem: Problem
    solution: str


def _digest(*parts: object) -> int:
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")


def problem_id(kind: ProblemKind, values: Values) -> str:
    """Names the problem by content: equal ids are equal problems."""
    return "-".join([kind.name, *(str(value) for value in values.values())])


def split_of(name: str) -> Split:
    """The only split that may hold the problem of this id."""
    share = _digest("split", name) % _SHARES
    return {8: SPLITS[1], 9: SPLITS[2]}.get(share, SPLITS[0])


def make_problem(
    kind: ProblemKind, values: Values, seed: int, pixels: int = DEFAULT_PIXELS
) -> SyntheticProblem:
    """Solves and draws one problem; `seed` moves the figure about and changes nothing else."""
    name = problem_id(kind, values)
    answer, solution = kind.solve(values)
    canvas = Canvas(pixels, Placement.random(Random(_digest("picture", seed, name))))
    kind.sketch(canvas, values)
    problem = Problem(
        id=name,
        question=f"<image>{kind.question}",
        answer=answer.text,
        images=(canvas.png(),),
        # The decimals the answer was rounded to; 37.5 degrees is exact.
        precision=1 if NEAREST_TENTH in kind.question else None,
        answer_type=_ANSWER_TYPES.get(answer.form, "text"),
        source="synthetic",
        metadata={"kind": kind.name, "level": kind.level, "form": answer.form, "values": dict(values)},
    )
    return SyntheticProblem(problem, solution)


def _next_draw(
    stream: Random, level: int, split: Split, seen: set[str]
) -> tuple[ProblemKind, dict[str, int]]:
    for _ in range(_ATTEMPTS):
        kind = stream.choice(at_level(level))
        values = kind.draw_values(stream)
        name = problem_id(kind, values)
        if name not in seen and split_of(name) == split:
            seen.add(name)
            return kind, values
    raise UserError(
        f"synthetic: level {level} has no more than {len(seen)} different problems for {split}; "
        f"ask for fewer with --{split}, or for more levels with --levels"
    )


def generate(
    split: Split, count: int, seed: int, levels: Sequence[int], pixels: int = DEFAULT_PIXELS
) -> list[SyntheticProblem]:
    """`count` different problems, the levels in turn. UserError where a level runs out or is unknown."""
    known = {kind.level for kind in KINDS}
    if not levels or not set(levels) <= known:
        raise UserError(f"synthetic: levels {list(levels)}: choose from {sorted(known)} with --levels")
    seen: dict[int, set[str]] = {level: set() for level in levels}
    problems = []
    for index in range(count):
        level = levels[index % len(levels)]
        stream = Random(_digest("problem", seed, split, index))
        kind, values = _next_draw(stream, level, split, seen[level])
        problems.append(make_problem(kind, values, seed, pixels))
    return problems
