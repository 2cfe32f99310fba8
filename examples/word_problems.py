"""Word problems of three levels, text only, with whole numbers as answers; no problem is in two splits.

python examples/word_problems.py [FOLDER] [--train N --validation N --test N]     (default: data/words)

Level 1 needs one step, level 2 two steps, level 3 three steps or larger numbers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from random import Random

from datasets import Dataset

Wording = tuple[str, int]  # question and answer


def _third_angle(rng: Random) -> Wording:
    a, b = rng.randint(20, 80), rng.randint(20, 80)
    return (
        f"Two angles of a triangle are {a} and {b} degrees. How many degrees is the third angle?",
        180 - a - b,
    )


def _square_perimeter(rng: Random) -> Wording:
    side = rng.randint(6, 99)
    return f"A square has sides of {side} cm. What is its perimeter in cm?", 4 * side


def _rectangle_area(rng: Random) -> Wording:
    length, width = rng.randint(4, 30), rng.randint(3, 12)
    return (
        f"A rectangle is {length} cm long and {width} cm wide. What is its area in square cm?",
        length * width,
    )


def _supplement(rng: Random) -> Wording:
    a = rng.randint(11, 169)
    return (
        f"Two angles form a straight line. One of them is {a} degrees. How many degrees is the other?",
        180 - a,
    )


def _rectangle_perimeter(rng: Random) -> Wording:
    length, width = rng.randint(5, 60), rng.randint(3, 40)
    question = f"A rectangle is {length} cm long and {width} cm wide. What is its perimeter in cm?"
    return question, 2 * (length + width)


def _square_from_perimeter(rng: Random) -> Wording:
    side = rng.randint(3, 40)
    return f"A square has a perimeter of {4 * side} cm. What is its area in square cm?", side * side


def _pens_left(rng: Random) -> Wording:
    boxes, pens = rng.randint(3, 12), rng.randint(5, 30)
    given = rng.randint(2, boxes * pens - 1)
    question = (
        f"Tom buys {boxes} boxes of {pens} pens each and gives {given} pens away. How many pens are left?"
    )
    return question, boxes * pens - given


def _isosceles(rng: Random) -> Wording:
    base = rng.randint(20, 80)
    question = (
        f"The two equal angles of a triangle are {base} degrees each. How many degrees is the third angle?"
    )
    return question, 180 - 2 * base


def _other_side(rng: Random) -> Wording:
    length, width = rng.randint(10, 60), rng.randint(3, 40)
    question = f"A rectangle has a perimeter of {2 * (length + width)} cm and is {length} cm long. "
    return question + "What is its area in square cm?", length * width


def _l_shape(rng: Random) -> Wording:
    length, width = rng.randint(12, 40), rng.randint(10, 30)
    a, b = rng.randint(2, length // 2), rng.randint(2, width // 2)
    question = f"A corner of {a} cm by {b} cm is cut from a sheet of {length} cm by {width} cm. "
    return question + "What area in square cm is left?", length * width - a * b


def _change(rng: Random) -> Wording:
    books, book, pens, pen = rng.randint(2, 9), rng.randint(4, 15), rng.randint(2, 9), rng.randint(2, 6)
    cost = books * book + pens * pen
    paid = cost + rng.randint(1, 60)
    question = f"Ann buys {books} books at {book} dollars each and {pens} pens at {pen} dollars each. "
    return question + f"She pays with {paid} dollars. How many dollars does she get back?", paid - cost


def _box_surface(rng: Random) -> Wording:
    a, b, c = (rng.randint(2, 20) for _ in range(3))
    question = f"A box is {a} cm long, {b} cm wide and {c} cm high. What is its surface area in square cm?"
    return question, 2 * (a * b + b * c + a * c)


LEVELS: tuple[tuple[Callable[[Random], Wording], ...], ...] = (
    (_third_angle, _square_perimeter, _rectangle_area, _supplement),
    (_rectangle_perimeter, _square_from_perimeter, _pens_left, _isosceles),
    (_other_side, _l_shape, _change, _box_surface),
)


def draw(level: int, count: int, rng: Random, used: set[str]) -> list[Wording]:
    """`count` problems of a level, its kinds in turn; none is in `used`, to which they are added.

    Raises ValueError if the level's numbers are exhausted.
    """
    kinds, drawn = LEVELS[level - 1], list[Wording]()
    for attempt in range(100 * count):
        if len(drawn) == count:
            break
        wording = kinds[attempt % len(kinds)](rng)
        if wording[0] not in used:
            used.add(wording[0])
            drawn.append(wording)
    if len(drawn) < count:
        raise ValueError(f"level {level} has only {len(drawn)} more problems, not {count}; ask for fewer")
    return drawn


def make_splits(sizes: dict[str, int], seed: int) -> dict[str, Dataset]:
    """The splits by name, with equal shares of the levels, in shuffled order."""
    rng, used, splits = Random(seed), set[str](), dict[str, Dataset]()
    for name, size in sizes.items():
        rows = []
        for level in range(1, len(LEVELS) + 1):
            count = size // len(LEVELS) + (level <= size % len(LEVELS))
            rows += [(level, *wording) for wording in draw(level, count, rng, used)]
        rng.shuffle(rows)
        splits[name] = Dataset.from_dict(
            {
                "images": [[]] * len(rows),
                "problem": [question for _, question, _ in rows],
                "answer": [str(answer) for _, _, answer in rows],
                "source": [f"level {level}" for level, _, _ in rows],
            }
        )
    return splits


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=Path("data/words"))
    parser.add_argument("--train", type=int, default=480)
    parser.add_argument("--validation", type=int, default=24)
    parser.add_argument("--test", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sizes = {name: getattr(arguments, name) for name in ("test", "validation", "train")}
    try:
        splits = make_splits(sizes, arguments.seed)
    except ValueError as error:
        parser.error(str(error))
    for name, split in splits.items():
        split.to_parquet(arguments.folder / f"{name}.parquet")
    print(f"wrote {arguments.folder}: " + ", ".join(f"{size} {name}" for name, size in sizes.items()))


if __name__ == "__main__":
    main()
