"""The kinds of problem: random values, question, and exact answer with its steps.

Level 1 is one step on small numbers. Level 2 needs another form of answer or one more step. Level 3 has
larger numbers or composite figures. Level 4 is intended to be too hard for a small model. A solution starts
with the values as read from the picture; the arithmetic follows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from random import Random

from data_prep.synthetic import exact, sketches
from data_prep.synthetic.canvas import Canvas
from data_prep.synthetic.exact import ExactAnswer
from data_prep.synthetic.sketches import Values

AnswerWithSteps = tuple[ExactAnswer, str]  # the answer and the worked solution

FIND_X = "Find x."
NEAREST_TENTH = "Round to the nearest tenth."


@dataclass(frozen=True)
class ProblemKind:
    """A kind at one level. (name, values) identifies a problem and determines its answer."""

    name: str
    level: int
    question: str
    draw_values: Callable[[Random], dict[str, int]]
    solve: Callable[[Values], AnswerWithSteps]
    sketch: Callable[[Canvas, Values], None]


def _between(low: int, high: int, *names: str) -> Callable[[Random], dict[str, int]]:
    return lambda rng: {name: rng.randint(low, high) for name in names}


# --- angles -----------------------------------------------------------------------------------------------


def _two_angles(rng: Random) -> dict[str, int]:
    a = rng.randint(20, 110)
    return {"a": a, "b": rng.randint(20, 160 - a)}


def _third_angle(v: Values) -> AnswerWithSteps:
    a, b = v["a"], v["b"]
    x = 180 - a - b
    return exact.whole(x), f"{a}, {b}. {a}+{b}={a + b}. 180-{a + b}={x}."


def _isosceles_base(v: Values) -> AnswerWithSteps:
    apex = v["apex"]
    answer = exact.terminating(Fraction(180 - apex, 2))
    return answer, f"{apex}. 180-{apex}={180 - apex}. {180 - apex}/2={answer.text}."


def _exterior_angle(v: Values) -> AnswerWithSteps:
    a, b = v["a"], v["b"]
    return exact.whole(a + b), f"{a}, {b}. {a}+{b}={a + b}."


def _three_angles(rng: Random) -> dict[str, int]:
    return {name: rng.randint(50, 100) for name in "abc"}


def _fourth_angle(v: Values) -> AnswerWithSteps:
    a, b, c = v["a"], v["b"], v["c"]
    x = 360 - a - b - c
    steps = f"{a}, {b}, {c}. {a}+{b}={a + b}. {a + b}+{c}={a + b + c}. 360-{a + b + c}={x}."
    return exact.whole(x), steps


def _supplement(v: Values) -> AnswerWithSteps:
    a = v["a"]
    return exact.whole(180 - a), f"{a}. 180-{a}={180 - a}."


def _inscribed_angle(v: Values) -> AnswerWithSteps:
    answer = exact.terminating(Fraction(v["central"], 2))
    return answer, f"{v['central']}. {v['central']}/2={answer.text}."


def _central_angle(v: Values) -> AnswerWithSteps:
    inscribed = v["inscribed"]
    return exact.whole(2 * inscribed), f"{inscribed}. 2*{inscribed}={2 * inscribed}."


# --- lengths ----------------------------------------------------------------------------------------------


def _perimeter(v: Values) -> AnswerWithSteps:
    w, h = v["w"], v["h"]
    return exact.whole(2 * (w + h)), f"{w}, {h}. {w}+{h}={w + h}. 2*{w + h}={2 * (w + h)}."


def _sum_of_squares(a: int, b: int) -> str:
    return f"{a}, {b}. {a * a}+{b * b}={a * a + b * b}."


def _hypotenuse(v: Values) -> AnswerWithSteps:
    a, b = v["a"], v["b"]
    return exact.root(a * a + b * b), _sum_of_squares(a, b)


def _diagonal(v: Values) -> AnswerWithSteps:
    w, h = v["w"], v["h"]
    return exact.root(w * w + h * h), _sum_of_squares(w, h)


def _hypotenuse_to_tenth(v: Values) -> AnswerWithSteps:
    a, b = v["a"], v["b"]
    return exact.root_to_tenth(a * a + b * b), _sum_of_squares(a, b)


def _leg_and_hypotenuse(longest: int) -> Callable[[Random], dict[str, int]]:
    def draw(rng: Random) -> dict[str, int]:
        c = rng.randint(4, longest)
        return {"a": rng.randint(2, c - 1), "c": c}

    return draw


def _leg(v: Values) -> AnswerWithSteps:
    a, c = v["a"], v["c"]
    rest = c * c - a * a
    return exact.root(rest), f"{a}, {c}. {c * c}-{a * a}={rest}."


def _chained_hypotenuse(v: Values) -> AnswerWithSteps:
    a, b, c = v["a"], v["b"], v["c"]
    inner, total = a * a + b * b, a * a + b * b + c * c
    steps = f"{a}, {b}, {c}. {a * a}+{b * b}={inner}. {inner}+{c * c}={total}."
    return exact.root(total), steps


def _similar_sides(low: int, high: int) -> Callable[[Random], dict[str, int]]:
    def draw(rng: Random) -> dict[str, int]:
        a, b, c = (rng.randint(low, high) for _ in range(3))
        return {"a": a, "b": b, "c": c} if a != c else {"a": a, "b": b, "c": c + 1}

    return draw


def _fourth_proportional(v: Values) -> AnswerWithSteps:
    a, b, c = v["a"], v["b"], v["c"]
    common = gcd(b * c, a)
    steps = f"{a}, {b}, {c}. {b}*{c}={b * c}. {b * c}/{a}, {common}."
    return exact.fraction(Fraction(b * c, a)), steps


# --- areas and circles ------------------------------------------------------------------------------------


def _rectangle_sides(rng: Random) -> dict[str, int]:
    return {"w": rng.randint(2, 30), "h": rng.randint(2, 9)}


def _area(v: Values) -> AnswerWithSteps:
    w, h = v["w"], v["h"]
    return exact.whole(w * h), f"{w}, {h}. {w}*{h}={w * h}."


def _circumference(v: Values) -> AnswerWithSteps:
    return exact.times_pi(2 * v["r"]), f"{v['r']}. 2*{v['r']}={2 * v['r']}."


def _circle_area(v: Values) -> AnswerWithSteps:
    r = v["r"]
    return exact.times_pi(r * r), f"{r}. {r}*{r}={r * r}."


def _circle_area_to_tenth(v: Values) -> AnswerWithSteps:
    r = v["r"]
    return exact.plus_pi_to_tenth(Fraction(0), Fraction(r * r)), f"{r}. {r}*{r}={r * r}."


def _two_radii(rng: Random) -> dict[str, int]:
    inner = rng.randint(2, 24)
    return {"inner": inner, "outer": rng.randint(inner + 1, 25)}


def _ring_area(v: Values) -> AnswerWithSteps:
    outer, inner = v["outer"] ** 2, v["inner"] ** 2
    steps = f"{v['inner']}, {v['outer']}. {outer}-{inner}={outer - inner}."
    return exact.times_pi(outer - inner), steps


def _trapezoid_sides(rng: Random) -> dict[str, int]:
    top = rng.randint(3, 18)
    return {"top": top, "bottom": rng.randint(top + 2, 30), "h": rng.randint(3, 15)}


def _trapezoid_area(v: Values) -> AnswerWithSteps:
    top, bottom, h = v["top"], v["bottom"], v["h"]
    both = top + bottom
    answer = exact.terminating(Fraction(both * h, 2))
    steps = f"{top}, {bottom}, {h}. {top}+{bottom}={both}. {both}*{h}={both * h}. {both * h}/2={answer.text}."
    return answer, steps


def _l_shape_sides(rng: Random) -> dict[str, int]:
    width, height = rng.randint(8, 30), rng.randint(8, 30)
    return {
        "width": width,
        "height": height,
        "top": rng.randint(2, width - 2),
        "right": rng.randint(2, height - 2),
    }


def _l_shape_area(v: Values) -> AnswerWithSteps:
    lower = v["width"] * v["right"]
    upper_height = v["height"] - v["right"]
    upper = v["top"] * upper_height
    steps = (
        f"{v['width']}, {v['height']}, {v['top']}, {v['right']}. {v['width']}*{v['right']}={lower}. "
        f"{v['top']}*{upper_height}={upper}. {lower}+{upper}={lower + upper}."
    )
    return exact.whole(lower + upper), steps


def _frame_sides(rng: Random) -> dict[str, int]:
    width, height = rng.randint(20, 99), rng.randint(20, 99)
    inner_width, inner_height = rng.randint(4, width - 4), rng.randint(4, height - 4)
    return {"width": width, "height": height, "inner_width": inner_width, "inner_height": inner_height}


def _frame_area(v: Values) -> AnswerWithSteps:
    outer, inner = v["width"] * v["height"], v["inner_width"] * v["inner_height"]
    steps = (
        f"{v['width']}, {v['height']}, {v['inner_width']}, {v['inner_height']}. "
        f"{v['width']}*{v['height']}={outer}. {v['inner_width']}*{v['inner_height']}={inner}. "
        f"{outer}-{inner}={outer - inner}."
    )
    return exact.whole(outer - inner), steps


def _rectangle_and_circle(rng: Random) -> dict[str, int]:
    r = rng.randint(2, 15)
    return {"w": rng.randint(2 * r + 1, 40), "h": rng.randint(2 * r + 1, 40), "r": r}


def _outside_circle_area(v: Values) -> AnswerWithSteps:
    outer, square = v["w"] * v["h"], v["r"] ** 2
    answer = exact.plus_pi_to_tenth(Fraction(outer), Fraction(-square))
    steps = f"{v['w']}, {v['h']}, {v['r']}. {v['w']}*{v['h']}={outer}. {v['r']}*{v['r']}={square}."
    return answer, steps


def _stadium_area(v: Values) -> AnswerWithSteps:
    w, d = v["w"], v["d"]
    answer = exact.plus_pi_to_tenth(Fraction(w * d), Fraction(d * d, 4))
    return answer, f"{w}, {d}. {w}*{d}={w * d}. {d}*{d}={d * d}."


def _even_legs(rng: Random) -> dict[str, int]:
    return {"a": 2 * rng.randint(2, 20), "b": 2 * rng.randint(2, 20)}


def _circumscribed_area(v: Values) -> AnswerWithSteps:
    a, b = v["a"] // 2, v["b"] // 2
    return exact.times_pi(a * a + b * b), f"{v['a']}, {v['b']}. {a * a}+{b * b}={a * a + b * b}."


_IN_PI = "Leave \\pi in the answer."
_RECTANGLE_AREA = "Find the area of the rectangle."
_CIRCLE_AREA = "Find the area of the circle."
_SHADED_AREA = "Find the area of the shaded region."
_FIGURE_AREA = "Find the area of the figure."

KINDS: tuple[ProblemKind, ...] = (
    ProblemKind("triangle_angle", 1, FIND_X, _two_angles, _third_angle, sketches.triangle_angle),
    ProblemKind("parallel_lines", 1, FIND_X, _between(20, 160, "a"), _supplement, sketches.parallel_lines),
    ProblemKind("exterior_angle", 1, FIND_X, _two_angles, _exterior_angle, sketches.exterior_angle),
    ProblemKind(
        "rectangle_perimeter",
        1,
        "Find the perimeter of the rectangle.",
        _between(2, 40, "w", "h"),
        _perimeter,
        sketches.rectangle,
    ),
    ProblemKind("rectangle_area", 1, _RECTANGLE_AREA, _rectangle_sides, _area, sketches.rectangle),
    ProblemKind(
        "circle_circumference",
        1,
        f"Find the circumference of the circle. {_IN_PI}",
        _between(2, 99, "r"),
        _circumference,
        sketches.circle,
    ),
    ProblemKind(
        "hypotenuse",
        1,
        FIND_X,
        _between(2, 12, "a", "b"),
        _hypotenuse,
        sketches.right_triangle_hypotenuse,
    ),
    ProblemKind(
        "isosceles_angle", 2, FIND_X, _between(20, 140, "apex"), _isosceles_base, sketches.isosceles_base
    ),
    ProblemKind(
        "inscribed_angle", 2, FIND_X, _between(20, 170, "central"), _inscribed_angle, sketches.inscribed_angle
    ),
    ProblemKind(
        "central_angle", 2, FIND_X, _between(15, 85, "inscribed"), _central_angle, sketches.central_angle
    ),
    ProblemKind("quadrilateral_angle", 2, FIND_X, _three_angles, _fourth_angle, sketches.quadrilateral_angle),
    ProblemKind("leg", 2, FIND_X, _leg_and_hypotenuse(15), _leg, sketches.right_triangle_leg),
    ProblemKind(
        "rectangle_diagonal", 2, FIND_X, _between(2, 12, "w", "h"), _diagonal, sketches.rectangle_diagonal
    ),
    ProblemKind(
        "similar_triangles", 2, FIND_X, _similar_sides(2, 9), _fourth_proportional, sketches.similar_triangles
    ),
    ProblemKind(
        "circle_area", 2, f"{_CIRCLE_AREA} {_IN_PI}", _between(2, 25, "r"), _circle_area, sketches.circle
    ),
    ProblemKind(
        "long_hypotenuse",
        3,
        f"{FIND_X} {NEAREST_TENTH}",
        _between(5, 30, "a", "b"),
        _hypotenuse_to_tenth,
        sketches.right_triangle_hypotenuse,
    ),
    ProblemKind(
        "large_rectangle_area", 3, _RECTANGLE_AREA, _between(11, 60, "w", "h"), _area, sketches.rectangle
    ),
    ProblemKind("ring_area", 3, f"{_SHADED_AREA} {_IN_PI}", _two_radii, _ring_area, sketches.ring),
    ProblemKind(
        "trapezoid_area",
        3,
        "Find the area of the trapezoid.",
        _trapezoid_sides,
        _trapezoid_area,
        sketches.trapezoid,
    ),
    ProblemKind("l_shape_area", 3, _FIGURE_AREA, _l_shape_sides, _l_shape_area, sketches.l_shape),
    ProblemKind(
        "large_similar_triangles",
        3,
        FIND_X,
        _similar_sides(4, 25),
        _fourth_proportional,
        sketches.similar_triangles,
    ),
    ProblemKind("long_leg", 3, FIND_X, _leg_and_hypotenuse(40), _leg, sketches.right_triangle_leg),
    ProblemKind(
        "circle_area_to_tenth",
        4,
        f"{_CIRCLE_AREA} {NEAREST_TENTH}",
        _between(11, 99, "r"),
        _circle_area_to_tenth,
        sketches.circle,
    ),
    ProblemKind("frame_area", 4, _SHADED_AREA, _frame_sides, _frame_area, sketches.frame),
    ProblemKind(
        "outside_circle_area",
        4,
        f"Find the area outside the circle. {NEAREST_TENTH}",
        _rectangle_and_circle,
        _outside_circle_area,
        sketches.rectangle_around_circle,
    ),
    ProblemKind(
        "stadium_area",
        4,
        f"{_FIGURE_AREA} {NEAREST_TENTH}",
        _between(4, 40, "w", "d"),
        _stadium_area,
        sketches.stadium,
    ),
    ProblemKind(
        "chained_hypotenuse",
        4,
        FIND_X,
        _between(3, 30, "a", "b", "c"),
        _chained_hypotenuse,
        sketches.chained_triangles,
    ),
    ProblemKind(
        "circumscribed_circle_area",
        4,
        f"{_CIRCLE_AREA} {_IN_PI}",
        _even_legs,
        _circumscribed_area,
        sketches.triangle_in_circle,
    ),
)

LEVELS: tuple[int, ...] = tuple(sorted({kind.level for kind in KINDS}))


def kinds_at_level(level: int) -> tuple[ProblemKind, ...]:
    return tuple(kind for kind in KINDS if kind.level == level)
