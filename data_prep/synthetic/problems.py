"""Generates problems from a seed, in splits that cannot overlap.

A problem is defined by its kind and its values. A hash of these, independent of the seed, assigns it to a
split: a problem of the test split is in no training split, for any pair of seeds. The bundled tiny model was
trained only on problems of the training split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

from data_prep.synthetic.canvas import Canvas, Placement
from data_prep.synthetic.kinds import KINDS, NEAREST_TENTH, ProblemKind, kinds_at_level
from data_prep.synthetic.sketches import Values
from vlm_uec.errors import UserError
from vlm_uec.types import Problem

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

DEFAULT_PIXELS = 84
_HASH_BUCKETS = 10  # eight are train, one is validation, one is test
_ATTEMPTS = 5000  # draws without a new problem before a level counts as exhausted
_ANSWER_TYPES = {"whole": "integer", "decimal": "float"}


@dataclass(frozen=True)
class SyntheticProblem:
    """A problem and its worked solution, which is used to train the tiny model and is not in the data set."""

    problem: Problem
    solution: str


def _digest(*parts: object) -> int:
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")


def problem_id(kind: ProblemKind, values: Values) -> str:
    """An id of the problem's content: problems with equal ids are equal."""
    return "-".join([kind.name, *(str(value) for value in values.values())])


def assigned_split(name: str) -> Split:
    """The only split that may contain the problem of this id."""
    bucket = _digest("split", name) % _HASH_BUCKETS
    return {8: SPLITS[1], 9: SPLITS[2]}.get(bucket, SPLITS[0])


def make_problem(
    kind: ProblemKind, values: Values, seed: int, pixels: int = DEFAULT_PIXELS
) -> SyntheticProblem:
    """Solves and draws one problem; `seed` only changes the placement of the figure."""
    name = problem_id(kind, values)
    answer, solution = kind.solve(values)
    canvas = Canvas(pixels, Placement.random(Random(_digest("picture", seed, name))))
    kind.sketch(canvas, values)
    problem = Problem(
        id=name,
        question=f"<image>{kind.question}",
        answer=answer.text,
        images=(canvas.png(),),
        # The number of decimals of a rounded answer; 37.5 degrees is exact.
        precision=1 if NEAREST_TENTH in kind.question else None,
        answer_type=_ANSWER_TYPES.get(answer.form, "text"),
        source="synthetic",
        metadata={"kind": kind.name, "level": kind.level, "form": answer.form, "values": dict(values)},
    )
    return SyntheticProblem(problem, solution)


def _next_draw(
    stream: Random, level: int, split: Split, used: set[str]
) -> tuple[ProblemKind, dict[str, int]]:
    for _ in range(_ATTEMPTS):
        kind = stream.choice(kinds_at_level(level))
        values = kind.draw_values(stream)
        name = problem_id(kind, values)
        if name not in used and assigned_split(name) == split:
            used.add(name)
            return kind, values
    raise UserError(
        f"synthetic: level {level} has no more than {len(used)} different problems for {split}; "
        f"reduce --{split}, or add levels with --levels"
    )


def generate(
    split: Split, count: int, seed: int, levels: Sequence[int], pixels: int = DEFAULT_PIXELS
) -> list[SyntheticProblem]:
    """`count` different problems, alternating over the levels.

    Raises UserError if one is exhausted or unknown.
    """
    known = {kind.level for kind in KINDS}
    if not levels or not set(levels) <= known:
        raise UserError(f"synthetic: levels {list(levels)}: choose from {sorted(known)} with --levels")
    used: dict[int, set[str]] = {level: set() for level in levels}
    problems = []
    for index in range(count):
        level = levels[index % len(levels)]
        stream = Random(_digest("problem", seed, split, index))
        kind, values = _next_draw(stream, level, split, used[level])
        problems.append(make_problem(kind, values, seed, pixels))
    return problems
