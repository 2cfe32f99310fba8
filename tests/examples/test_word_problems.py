"""The word problems of the example with real weights: answers, levels and separate splits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from examples.word_problems import LEVELS, draw, main, make_splits
from vlm_uec.data.dataset import load_problems

# From the numbers of a question, in their order in its text, to its answer.
ANSWERS: dict[str, Callable[..., int]] = {
    "Two angles of a triangle": lambda a, b: 180 - a - b,
    "A square has sides": lambda a: a + a + a + a,
    "A rectangle.*What is its area": lambda a, b: a * b,
    "Two angles form": lambda a: 180 - a,
    "A rectangle is.*perimeter": lambda a, b: a + b + a + b,
    "A square has a perimeter": lambda p: (p // 4) ** 2,
    "Tom buys": lambda boxes, pens, given: boxes * pens - given,
    "The two equal angles": lambda a: 180 - a - a,
    "A rectangle has a perimeter": lambda p, a: a * (p // 2 - a),
    "A corner": lambda a, b, length, width: length * width - a * b,
    "Ann buys": lambda m, book, n, pen, paid: paid - m * book - n * pen,
    "A box": lambda a, b, c: 2 * a * b + 2 * a * c + 2 * b * c,
}


@pytest.mark.parametrize("level", [1, 2, 3])
def test_answers_follow_from_the_questions(level: int) -> None:
    patterns = Counter[str]()
    for question, answer in draw(level, 200, Random(5), set()):
        pattern = max((p for p in ANSWERS if re.match(p, question)), key=lambda p: ("perimeter" in p, len(p)))
        patterns[pattern] += 1
        assert ANSWERS[pattern](*map(int, re.findall(r"\d+", question))) == answer > 0, question
    assert len(patterns) == len(LEVELS[level - 1])


def test_splits_have_equal_levels_and_share_no_question() -> None:
    splits = make_splits({"test": 30, "train": 91}, seed=2)
    test, train = splits["test"], splits["train"]
    assert Counter(test["source"]) == {"level 1": 10, "level 2": 10, "level 3": 10}
    assert Counter(train["source"]) == {"level 1": 31, "level 2": 30, "level 3": 30}
    assert len({*test["problem"], *train["problem"]}) == 121


def test_an_exhausted_level_is_an_error() -> None:
    with pytest.raises(ValueError, match="level 1 has only"):
        draw(1, 10**5, Random(1), set())


def test_too_many_problems_are_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["word_problems.py", str(tmp_path), "--train", "100000"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "error: level 1 has only" in capsys.readouterr().err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_the_trainer_reads_the_problems(tmp_path: Path) -> None:
    make_splits({"train": 6}, seed=1)["train"].to_parquet(tmp_path / "train.parquet")
    problems = load_problems(str(tmp_path), "train").problems
    assert len(problems) == 6 and not any(problem.images for problem in problems)
