"""Synthetic problems: correct answers, numbers only in the picture, no problem in two splits."""

from __future__ import annotations

import argparse
import io
import json
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import data_prep.synthetic as synthetic
from data_prep.synthetic import exact
from data_prep.synthetic.canvas import Canvas, Placement
from data_prep.synthetic.kinds import KINDS, LEVELS, ProblemKind
from data_prep.synthetic.problems import SPLITS, assigned_split, generate, make_problem, problem_id
from vlm_uec.errors import UserError

Values = Mapping[str, int]

# The textbook formula of each kind in sympy, independent of the generator's integer arithmetic.
FORMULAS: dict[str, Callable[[Values], sympy.Expr]] = {
    "triangle_angle": lambda v: sympy.Integer(180 - v["a"] - v["b"]),
    "parallel_lines": lambda v: sympy.Integer(180 - v["a"]),
    "exterior_angle": lambda v: sympy.Integer(180 - (180 - v["a"] - v["b"])),
    "rectangle_perimeter": lambda v: sympy.Integer(v["w"] + v["h"] + v["w"] + v["h"]),
    "rectangle_area": lambda v: sympy.Integer(v["w"] * v["h"]),
    "large_rectangle_area": lambda v: sympy.Integer(v["w"] * v["h"]),
    "circle_circumference": lambda v: 2 * sympy.pi * v["r"],
    "hypotenuse": lambda v: sympy.sqrt(v["a"] ** 2 + v["b"] ** 2),
    "long_hypotenuse": lambda v: sympy.sqrt(v["a"] ** 2 + v["b"] ** 2),
    "rectangle_diagonal": lambda v: sympy.sqrt(v["w"] ** 2 + v["h"] ** 2),
    "leg": lambda v: sympy.sqrt(v["c"] ** 2 - v["a"] ** 2),
    "long_leg": lambda v: sympy.sqrt(v["c"] ** 2 - v["a"] ** 2),
    "isosceles_angle": lambda v: sympy.Rational(180 - v["apex"], 2),
    "inscribed_angle": lambda v: sympy.Rational(v["central"], 2),
    "central_angle": lambda v: sympy.Integer(2 * v["inscribed"]),
    "quadrilateral_angle": lambda v: sympy.Integer(360 - v["a"] - v["b"] - v["c"]),
    "similar_triangles": lambda v: sympy.Rational(v["c"], v["a"]) * v["b"],
    "large_similar_triangles": lambda v: sympy.Rational(v["c"], v["a"]) * v["b"],
    "circle_area": lambda v: sympy.pi * v["r"] ** 2,
    "circle_area_to_tenth": lambda v: sympy.pi * v["r"] ** 2,
    "ring_area": lambda v: sympy.pi * v["outer"] ** 2 - sympy.pi * v["inner"] ** 2,
    "trapezoid_area": lambda v: sympy.Rational(v["top"] + v["bottom"], 2) * v["h"],
    # The bounding rectangle minus the corner that is cut out.
    "l_shape_area": lambda v: sympy.Integer(
        v["width"] * v["height"] - (v["width"] - v["top"]) * (v["height"] - v["right"])
    ),
    "frame_area": lambda v: sympy.Integer(v["width"] * v["height"] - v["inner_width"] * v["inner_height"]),
    "outside_circle_area": lambda v: v["w"] * v["h"] - sympy.pi * v["r"] ** 2,
    "stadium_area": lambda v: v["w"] * v["d"] + sympy.pi * sympy.Rational(v["d"], 2) ** 2,
    "chained_hypotenuse": lambda v: sympy.sqrt(sympy.sqrt(v["a"] ** 2 + v["b"] ** 2) ** 2 + v["c"] ** 2),
    "circumscribed_circle_area": lambda v: sympy.pi * (sympy.sqrt(v["a"] ** 2 + v["b"] ** 2) / 2) ** 2,
}

NUMBER = r"(-?\d+)"
FORMS: dict[str, re.Pattern[str]] = {
    "whole": re.compile(NUMBER),
    "decimal": re.compile(NUMBER + r"\.(\d)"),
    "radical": re.compile(r"(?:(\d+) )?\\sqrt \{ (\d+) \}"),
    "fraction": re.compile(r"\\frac \{ (\d+) \} \{ (\d+) \}"),
    "pi": re.compile(r"(?:(\d+) )?\\pi"),
}


def value_of(answer: str, form: str) -> sympy.Expr:
    """The value of an answer; fails if the text does not have the stated form."""
    match = FORMS[form].fullmatch(answer)
    assert match, f"{answer!r} is not a {form}"
    parts = [int(part) if part else 1 for part in match.groups()]
    if form == "whole":
        return sympy.Integer(parts[0])
    if form == "decimal":
        return sympy.Rational(answer)
    if form == "radical":
        return parts[0] * sympy.sqrt(parts[1])
    if form == "fraction":
        return sympy.Rational(parts[0], parts[1])
    return parts[0] * sympy.pi


def sample_values(kind: ProblemKind, count: int) -> list[dict[str, int]]:
    return [kind.draw_values(Random(number)) for number in range(count)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_answers_equal_the_formula(kind: ProblemKind) -> None:
    for values in sample_values(kind, 40):
        answer, _ = kind.solve(values)
        expected, answer_value = FORMULAS[kind.name](values), value_of(answer.text, answer.form)
        if answer.form == "decimal":
            # No kind has a computed value on a rounding tie, such as the rational .x5.
            assert abs(sympy.N(expected - answer_value, 30)) < sympy.Rational(1, 20)
        else:
            assert sympy.simplify(expected - answer_value) == 0


class Recorder(Canvas):
    """Records the labels and fails if one leaves the picture."""

    def __init__(self, placement: Placement) -> None:
        super().__init__(84, placement)
        self.labels: list[str] = []

    def label(self, centre: tuple[float, float], text: object) -> None:
        position = self._label_position(centre)
        assert all(coordinate % 7 == 0 for coordinate in position)
        box = self._draw.textbbox(position, str(text), font=self._font, anchor="mm")
        # The box includes up to a pixel of spacing after the last letter, which may be cut.
        assert min(box) >= 0 and box[2] <= 85 and box[3] <= 84, f"{text} leaves the picture"
        self.labels.append(str(text))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("corner", [(-2, -2), (-2, 2), (2, -2), (2, 2)])
def test_every_value_is_drawn_and_fits(kind: ProblemKind, corner: tuple[int, int]) -> None:
    for values in sample_values(kind, 20):
        recorder = Recorder(Placement(*corner))
        kind.sketch(recorder, values)
        assert sorted(label for label in recorder.labels if label != "x") == sorted(map(str, values.values()))
        assert ("x" in recorder.labels) == (kind.question.startswith("Find x"))


@given(st.integers(0, 2**64))
def test_figures_move_by_two_units_at_most(seed: int) -> None:
    placement = Placement.random(Random(seed))
    assert max(abs(placement.right), abs(placement.down)) <= 2


def test_only_rounded_answers_have_a_precision() -> None:
    problems = [made.problem for made in generate("train", 400, 1, LEVELS)]
    assert {problem.precision for problem in problems if problem.metadata["form"] != "decimal"} == {None}
    precisions = {problem.metadata["kind"]: problem.precision for problem in problems}
    assert (precisions["circle_area_to_tenth"], precisions["isosceles_angle"]) == (1, None)


def test_questions_contain_no_number() -> None:
    for kind in KINDS:
        problem = make_problem(kind, sample_values(kind, 1)[0], seed=1).problem
        assert problem.question.startswith("<image>")
        assert not re.search(r"\d", problem.question)


def test_names_are_unique_and_every_kind_has_a_formula() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert {kind.name for kind in KINDS} == set(FORMULAS)


def test_all_levels_and_answer_forms_occur() -> None:
    problems = [made.problem for made in generate("train", 400, 1, LEVELS)]
    assert {problem.metadata["form"] for problem in problems} == set(FORMS)
    assert {problem.metadata["level"] for problem in problems} == {1, 2, 3, 4}
    by_level = [sum(problem.metadata["level"] == level for problem in problems) for level in LEVELS]
    assert by_level == [100, 100, 100, 100]


def test_same_seed_same_bytes_other_seed_other_problems() -> None:
    first = generate("train", 30, 7, [1, 2])
    assert first == generate("train", 30, 7, [1, 2])
    other = generate("train", 30, 8, [1, 2])
    assert [made.problem.id for made in first] != [made.problem.id for made in other]


def test_a_larger_count_extends_a_smaller_one() -> None:
    assert generate("test", 12, 3, [1, 2, 3]) == generate("test", 24, 3, [1, 2, 3])[:12]


def test_no_problem_is_in_two_splits_even_across_seeds() -> None:
    ids = {
        split: {made.problem.id for seed in (1, 2) for made in generate(split, 200, seed, LEVELS)}
        for split in SPLITS
    }
    assert all(ids[one].isdisjoint(ids[other]) for one in SPLITS for other in SPLITS if one != other)


def test_no_problem_is_repeated_in_a_split() -> None:
    ids = [made.problem.id for made in generate("validation", 300, 1, [1, 2])]
    assert len(set(ids)) == 300


def test_the_id_determines_the_split() -> None:
    kind = KINDS[0]
    name = problem_id(kind, {"a": 40, "b": 60})
    assert name == "triangle_angle-40-60"
    made = make_problem(kind, {"a": 40, "b": 60}, seed=5)
    assert (made.problem.id, made.problem.answer) == (name, "80")
    assert made.solution == "40, 60. 40+60=100. 180-100=80."
    assert assigned_split(name) in SPLITS


@pytest.mark.parametrize("pixels", [84, 168, 336])
def test_pictures_have_the_requested_size(pixels: int) -> None:
    problem = make_problem(KINDS[0], {"a": 40, "b": 60}, seed=1, pixels=pixels).problem
    picture = Image.open(io.BytesIO(problem.images[0]))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (pixels, pixels))


def test_exhausted_level_and_unknown_level_are_user_errors() -> None:
    with pytest.raises(UserError, match="level 1 has no more than"):
        generate("test", 100_000, 1, [1])
    with pytest.raises(UserError, match="choose from"):
        generate("train", 1, 1, [9])


def test_command_writes_splits_without_solutions(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    synthetic.add_arguments(parser)
    arguments = [
        "--out",
        str(tmp_path),
        "--train",
        "6",
        "--validation",
        "4",
        "--test",
        "0",
        "--levels",
        "2",
        "1",
    ]
    summary = synthetic.run(parser.parse_args(arguments))
    assert summary.splitlines() == [
        "train: 6 problems, 0 rejected (none)",
        "validation: 4 problems, 0 rejected (none)",
    ]
    import pyarrow.parquet as pq

    rows = pq.read_table(tmp_path / "train.parquet").to_pylist()
    assert len(rows) == 6
    assert {json.loads(row["metadata"])["level"] for row in rows} == {1, 2}
    solutions = {made.solution for made in generate("train", 6, 1, [1, 2])}
    assert not any(solution in json.dumps(row, default=str) for row in rows for solution in solutions)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (Fraction(1, 4), 1, "0.3"),
        (Fraction(-1, 4), 1, "-0.3"),
        (Fraction(27, 20), 1, "1.4"),
        (Fraction(-1, 100), 1, "0.0"),
        (Fraction(5, 2), 0, "3"),
        (Fraction(1999, 1000), 2, "2.00"),
    ],
)
def test_rounds_half_away_from_zero(value: Fraction, digits: int, text: str) -> None:
    assert exact.round_half_away(value, digits) == text


@pytest.mark.parametrize(
    ("radicand", "text"),
    [(1, "1"), (2, "\\sqrt { 2 }"), (16, "4"), (18, "3 \\sqrt { 2 }"), (72, "6 \\sqrt { 2 }")],
)
def test_radicals_in_simplest_form(radicand: int, text: str) -> None:
    assert exact.root(radicand).text == text


def test_other_forms_have_the_notation_of_geometry3k() -> None:
    assert exact.fraction(Fraction(4, 10)).text == "\\frac { 2 } { 5 }"
    assert exact.fraction(Fraction(8, 4)) == exact.whole(2)
    assert exact.times_pi(14).text == "14 \\pi"
    assert exact.times_pi(1).text == "\\pi"
    assert exact.terminating(Fraction(75, 2)).text == "37.5"
    # sqrt(2) = 1.414..., sqrt(3) = 1.732..., 100 pi = 314.159..., 10 - pi = 6.858...
    assert [exact.root_to_tenth(n).text for n in (2, 3, 4)] == ["1.4", "1.7", "2.0"]
    assert exact.plus_pi_to_tenth(Fraction(0), Fraction(100)).text == "314.2"
    assert exact.plus_pi_to_tenth(Fraction(10), Fraction(-1)).text == "6.9"
    with pytest.raises(ValueError, match="more than one decimal"):
        exact.terminating(Fraction(1, 4))
    with pytest.raises(ValueError, match="positive"):
        exact.root(0)


@given(st.integers(1, 20_000))
def test_split_square_is_exact_and_square_free(radicand: int) -> None:
    outside, inside = exact.split_square(radicand)
    assert outside * outside * inside == radicand
    assert all(inside % (k * k) for k in range(2, int(inside**0.5) + 1))


@given(st.fractions(), st.integers(0, 4))
def test_rounding_is_nearest_and_symmetric(value: Fraction, digits: int) -> None:
    rounded = Fraction(exact.round_half_away(value, digits))
    assert abs(rounded - value) <= Fraction(1, 2 * 10**digits)
    assert Fraction(exact.round_half_away(-value, digits)) == -rounded
