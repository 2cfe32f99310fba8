"""Properties for any text: no exception, bounded time, equal verdicts in any thread and order, invariances."""

# ruff: noqa: E501  (tables read better in long rows)
from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_uec.verifier import VERDICT_KINDS, verify
from vlm_uec.verifier.arithmetic import round_half_up
from vlm_uec.verifier.expression_parser import parse
from vlm_uec.verifier.tree import Constant, Node, Variable, are_identical

ALPHABET = [
    *"0123456789.,+-*/^(){}[]=<>:;%|~_'\"!?&$#@√π°½²′∠≈±≤，。：（）AxBmei \n\t\\",
    r"\frac", r"\frac{", r"\sqrt", r"\sqrt[", r"\pi", r"\boxed{", r"\text{", r"\approx", r"\circ", r"\left(", r"\angle",
    r"\overline{", "<answer>", "</answer>", "<think>", "</think>", " or ", " and ", "The answer is ", "答案是", "cm", "degrees",
    "{,}", "**", "10^", "not ", "sin", r"\cong", "(A)", "\ud800", "\u202e", "\x00", "\U0001d7d0",
]  # fmt: skip
random_mathematics = st.lists(st.sampled_from(ALPHABET), max_size=60).map("".join)
HOSTILE = [
    " " * 10**6, "\\boxed{" * 10**5, "{" * 10**6, "}" * 10**6, r"\boxed" + " " * 10**6, "<answer>" * 10**5, "\\" * 10**6, "9" * 10**6,
    "\\boxed{" * 10**5 + "}" * 10**5, "</think>" * 10**5, "(" * 5000 + "1" + ")" * 5000, "{" * 5000 + "1" + "}" * 5000, "9**" * 40 + "9",
    "9^{" * 100 + "9" + "}" * 100, r"\sqrt{" * 200 + "2" + "}" * 200, r"\frac{1}{" * 60 + "2" + "}" * 60, "1 " * 1000, "a" * 2000, "\n" * 2000,
    "The answer is " * 20000, "答案是" * 50000, "x=" * 900, "1," * 990, "1:" * 990, "-" * 1999, "$" * 1999, r"\text{" * 390, "²" * 1999,
    r"\boxed 1" * 10**5, ("1" * 29 + "^12*") * 12 + "1", "(x+y+z)^12" * 38, "((x+1)^12+(y+1)^12)^12-z^{0.5}", "٣" * 1000, "½" * 390,
    r"\overline{3}" * 150, "0." + "3" * 390, "°" * 1999, "1°1'" * 400, "m" * 1999, "1e" * 900, "1e99", "'" * 1999, "\\boxed{\ud800}", "is " * 600,
]  # fmt: skip


def boxed(answer: str) -> str:
    return f"<think>Some reasoning.</think> The answer: $\\boxed{{{answer}}}$."


@settings(deadline=None, max_examples=300)
@given(st.text(), st.text(), st.lists(st.text(max_size=8), max_size=5), st.integers() | st.none())
def test_arbitrary_text_never_raises(
    answer: str, truth: str, choices: list[str], precision: int | None
) -> None:
    assert verify(boxed(answer), truth, choices=choices, precision=precision).kind in VERDICT_KINDS
    assert verify(answer, truth).kind in VERDICT_KINDS


@settings(deadline=None, max_examples=500)
@given(random_mathematics, random_mathematics)
def test_random_mathematics_never_raises(answer: str, truth: str) -> None:
    assert verify(boxed(answer), truth, choices=[answer, truth], precision=2).kind in VERDICT_KINDS
    assert verify(answer, truth).kind in VERDICT_KINDS


@pytest.mark.parametrize("hostile", HOSTILE, ids=[repr(hostile[:9]) for hostile in HOSTILE])
def test_hostile_texts_are_judged_in_time(hostile: str) -> None:
    for response in (
        hostile,
        boxed(hostile),
        hostile + boxed("8"),
        f"<answer>{hostile}</answer>",
        f"The answer is {hostile}.",
    ):
        for truth in ("7", "x + y", "sphere"):
            started = time.process_time()
            assert not verify(response, truth).correct
            assert time.process_time() - started < 1


@pytest.mark.parametrize("hostile", HOSTILE, ids=[repr(hostile[:9]) for hostile in HOSTILE])
def test_hostile_truths_and_choices_are_judged_in_time(hostile: str) -> None:
    started = time.process_time()
    assert not verify(boxed("7"), hostile).correct
    verify(boxed("x"), hostile[:1500], choices=[hostile] * 26)
    assert time.process_time() - started < 2


@settings(deadline=None)
@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12))
def test_integers_are_right_only_if_equal(left: int, right: int) -> None:
    assert verify(boxed(str(left)), str(right)).correct is (left == right)
    assert verify(boxed(f"{left:,}"), str(left)).correct


@settings(deadline=None)
@given(st.integers(-(10**7), 10**7), st.integers(0, 5), st.integers(-(10**9), 10**9), st.integers(1, 10**6))
def test_decimal_truths_accept_values_that_round_to_them(
    digits: int, decimals: int, numerator: int, denominator: int
) -> None:
    truth = Decimal(digits).scaleb(-decimals)
    value = Fraction(numerator, denominator)
    nearest = int(abs(value) * 10**decimals + Fraction(1, 2)) * (1 if value >= 0 else -1)
    expected = nearest == digits if decimals else value == digits
    assert verify(boxed(rf"\frac{{{numerator}}}{{{denominator}}}"), f"{truth:f}").correct is expected
    rounding = Decimal(nearest).scaleb(-decimals)
    assert verify(boxed(rf"\frac{{{numerator}}}{{{denominator}}}"), f"{rounding:f}").correct is (
        decimals > 0 or value == nearest
    )


@settings(deadline=None)
@given(st.integers(2, 10**4), st.integers(1, 40), st.integers(0, 9))
def test_exact_truths_accept_decimals_of_four_digits(radicand: int, factor: int, decimals: int) -> None:
    exact = sympy.sqrt(radicand) * factor
    if exact.is_integer:
        return
    digits = int(sympy.floor(exact * 10**decimals + sympy.Rational(1, 2)))
    decimal_text = f"{Decimal(digits).scaleb(-decimals):f}"
    has_enough_digits = decimals >= 2 and len(str(digits)) >= 4
    truth = rf"{factor} \sqrt {{ {radicand} }}"
    assert verify(boxed(decimal_text), truth).correct is has_enough_digits
    for offset in (-1, 1):
        neighbour = f"{Decimal(digits + offset).scaleb(-decimals):f}"
        assert not verify(boxed(neighbour), truth).correct


@settings(deadline=None)
@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 50))
def test_equal_forms_of_fractions_and_radicals_are_right(
    numerator: int, denominator: int, factor: int
) -> None:
    assert verify(
        boxed(rf"\frac{{{numerator * factor}}}{{{denominator * factor}}}"),
        rf"\frac {{ {numerator} }} {{ {denominator} }}",
    ).correct
    assert verify(
        boxed(rf"\sqrt{{{factor * factor * numerator}}}"), rf"{factor} \sqrt {{ {numerator} }}"
    ).correct
    assert not verify(
        boxed(rf"\sqrt{{{factor * factor * numerator + 1}}}"), rf"{factor} \sqrt {{ {numerator} }}"
    ).correct
    assert verify(boxed(f"{numerator * factor}:{denominator * factor}"), f"{numerator}:{denominator}").correct
    assert verify(boxed(f"{denominator}:{numerator}"), f"{numerator}:{denominator}").correct is (
        numerator == denominator
    )


VALUES = [
    "15",
    "-7",
    "8.66",
    r"3 \sqrt { 3 }",
    r"\frac { 3 5 } { 4 }",
    r"4 9 \pi",
    "2:7",
    "90-w",
    "(4, -7)",
    "[1998, 2003]",
    "sphere",
    "x < 60",
]
REWRITINGS = [
    "{}", " {} ", "${}$", r"\({}\)", r"\, {} \,", "{}.", r"\displaystyle {}", r"\boxed{{{}}}", r"\quad {}", "\n{}\n", "**{}**",
    r"{{{}}}", "\u00a0{}", "\u200b{}",
]  # fmt: skip
QUANTITIES = VALUES[:6]
UNITS = [
    "{} cm",
    r"{} \text{{ cm}}",
    r"{}^\circ",
    "{} degrees",
    "x = {}",
    r"\text{{Area}} = {}",
    r"AB = {} \text{{ units}}",
    "The answer is {}",
    "= {}",
]


@pytest.mark.parametrize("truth", VALUES)
@pytest.mark.parametrize("rewriting", REWRITINGS)
def test_rewritings_do_not_change_the_verdict(truth: str, rewriting: str) -> None:
    for answer in (truth, "16", r"\sqrt{5}"):
        expected = verify(boxed(answer), truth).correct
        assert verify(boxed(rewriting.format(answer)), truth).correct is expected
        assert expected is (answer == truth)


@pytest.mark.parametrize("truth", QUANTITIES)
@pytest.mark.parametrize("rewriting", UNITS)
def test_units_and_names_do_not_change_the_verdict(truth: str, rewriting: str) -> None:
    for answer in (truth, "16", r"\sqrt{5}"):
        assert verify(boxed(rewriting.format(answer)), truth).correct is (answer == truth)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> tuple[str, sympy.Expr]:
    """A formula as text for the parser, and the same formula as a sympy expression."""
    if depth == 0 or draw(st.booleans()):
        name = draw(st.sampled_from("xyw"))
        number = draw(st.integers(1, 9))
        return (name, sympy.Symbol(name)) if draw(st.booleans()) else (str(number), sympy.Integer(number))
    (left, left_sympy), (right, right_sympy) = draw(expressions(depth - 1)), draw(expressions(depth - 1))
    sign = draw(st.sampled_from("+-*"))
    return f"({left}){sign}({right})", {
        "+": left_sympy + right_sympy,
        "-": left_sympy - right_sympy,
        "*": left_sympy * right_sympy,
    }[sign]


@settings(deadline=None, max_examples=150)
@given(expressions(), expressions())
def test_identity_check_agrees_with_sympy(
    left: tuple[str, sympy.Expr], right: tuple[str, sympy.Expr]
) -> None:
    expected = sympy.expand(left[1] - right[1]) == 0
    assert are_identical(parse(left[0]), parse(right[0])) is expected
    assert are_identical(parse(left[0]), parse(str(sympy.expand(left[1])).replace("**", "^")))


def test_identity_needs_points_where_both_are_defined() -> None:
    x: Node = Variable("x")
    assert not are_identical(parse(r"\sqrt{-x^2}"), parse(r"\sqrt{-x^2-1}"))  # nowhere real
    assert not are_identical(parse(r"\sqrt{x^2}"), x)  # equal only for positive x
    assert are_identical(parse("x^2/x"), x)
    assert not are_identical(Constant(Decimal(0)), x)


@given(st.decimals(-(10**6), 10**6, places=6), st.integers(0, 6))
def test_rounding_is_half_away_from_zero(value: Decimal, decimals: int) -> None:
    exact = Fraction(value)
    nearest = int(abs(exact) * 10**decimals + Fraction(1, 2)) * (1 if exact >= 0 else -1)
    assert Fraction(round_half_up(value, decimals)) == Fraction(nearest, 10**decimals)


def test_verdicts_are_the_same_in_threads_and_in_any_order() -> None:
    calls = [
        (boxed(answer), truth)
        for answer in (*VALUES, r"5\sqrt{3}", "5.196", "10y(2y-1)", "w")
        for truth in (*VALUES, "8.7", "20 y^2 - 10 y")
    ]
    expected = dict(zip(calls, (verify(*call) for call in calls), strict=True))
    shuffled = calls * 5
    random.Random(0).shuffle(shuffled)
    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(lambda call: verify(*call), shuffled))
    assert verdicts == [expected[call] for call in shuffled]
