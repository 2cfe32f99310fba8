"""Compare parsed answers: equal or correctly rounded, without any tolerance (policy, rules 2 to 6).

The nearest wrong choice in geometry data is 0.6 % away, so a relative tolerance would accept wrong answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from vlm_uec.verifier.answer_types import Formula, ParsedAnswer, Parts, Quantity, Relation, to_equation
from vlm_uec.verifier.arithmetic import CONTEXT, almost_equal, rounds_to
from vlm_uec.verifier.tree import are_identical, constant_ratio
from vlm_uec.verifier.units import units_contradict

MIN_SIGNIFICANT_DIGITS = 4  # required of a decimal answer to an exact truth (rule 5)
MIN_DECIMALS = 2


class Judgement(NamedTuple):
    """A comparison's result. `rule`: the rule that decided, or a range of rules such as "3 to 5"."""

    correct: bool
    reason: str
    rule: str
    parsable: bool = True


def compare(
    answer: ParsedAnswer,
    truth: ParsedAnswer,
    precision: int | None = None,
    distractors: Sequence[Decimal] = (),
) -> Judgement:
    """`precision`: decimals that the truth is rounded to; `distractors`: values of the other choices."""
    if isinstance(truth, Quantity):
        return _compare_with_quantity(answer, truth, precision, distractors)
    if isinstance(truth, Parts):
        return _compare_with_parts(answer, truth, precision)
    if isinstance(truth, Relation):
        return _compare_with_relation(answer, truth)
    return _compare_with_formula(answer, truth)


def compare_quantities(
    answer: Quantity, truth: Quantity, precision: int | None, distractors: Sequence[Decimal] = ()
) -> Judgement:
    """Rules 3 to 6 for two numbers."""
    if units_contradict(answer.unit, truth.unit) or _is_radians_for_degrees(answer, truth):
        return Judgement(False, "the unit contradicts the truth's unit", "6")
    if answer.kind == "ratio" and truth.kind in ("integer", "decimal"):
        return Judgement(False, "the answer is a ratio and the truth is a plain number", "2")
    if almost_equal(answer.value, truth.value):
        return Judgement(True, "equal to the truth", "3 to 5")
    if any(almost_equal(answer.value, rival) for rival in distractors):
        return Judgement(False, "equal to another choice", "7")
    return _compare_rounded(answer, truth, precision, distractors)


def _is_radians_for_degrees(answer: Quantity, truth: Quantity) -> bool:
    """In geometry data, a bare integer or decimal angle is in degrees; a multiple of pi may be in radians."""
    is_implicitly_degrees = truth.unit is None and truth.kind in ("integer", "decimal")
    return is_implicitly_degrees and answer.unit is not None and answer.unit.name == "rad"


def _compare_rounded(
    answer: Quantity, truth: Quantity, precision: int | None, distractors: Sequence[Decimal]
) -> Judgement:
    if truth.kind == "decimal" or (truth.kind == "integer" and precision is not None):
        return _compare_with_decimal(answer, truth, truth.decimals if precision is None else precision)
    if truth.kind == "integer":
        return Judgement(False, "not equal to the truth", "3")
    if answer.kind != "decimal":
        return Judgement(False, "not equal to the truth", "5")
    return _compare_with_exact(answer, truth, distractors)


def _compare_with_decimal(answer: Quantity, truth: Quantity, decimals: int) -> Judgement:
    correct = rounds_to(answer.value, truth.value, decimals)
    verb = "rounds" if correct else "does not round"
    return Judgement(correct, f"{verb} to the truth at {decimals} decimals", "4")


def _compare_with_exact(answer: Quantity, truth: Quantity, distractors: Sequence[Decimal]) -> Judgement:
    if not rounds_to(truth.value, answer.value, answer.decimals):
        return Judgement(False, "not a correct rounding of the exact truth", "5")
    if answer.significant_digits >= MIN_SIGNIFICANT_DIGITS and answer.decimals >= MIN_DECIMALS:
        return Judgement(True, "a correct rounding of the exact truth", "5")
    distance = _absolute_difference(answer.value, truth.value)
    if distractors and all(distance < _absolute_difference(answer.value, rival) for rival in distractors):
        return Judgement(True, "correctly rounded and strictly nearest to the correct choice", "5")
    return Judgement(
        False,
        f"fewer than {MIN_SIGNIFICANT_DIGITS} significant digits or {MIN_DECIMALS} decimals",
        "5",
    )


def _absolute_difference(left: Decimal, right: Decimal) -> Decimal:
    return CONTEXT.subtract(left, right).copy_abs()


def _compare_with_quantity(
    answer: ParsedAnswer, truth: Quantity, precision: int | None, distractors: Sequence[Decimal]
) -> Judgement:
    if isinstance(answer, Parts):
        return Judgement(False, "the answer has several parts and the truth has one", "2")
    if isinstance(answer, Relation):
        return Judgement(False, "the answer is an equation or inequality and the truth is a number", "2")
    if isinstance(answer, Formula):
        return Judgement(False, "the answer has free variables and the truth has none", "5")
    if truth.name and answer.name and len(truth.name) == 1 == len(answer.name) and truth.name != answer.name:
        return Judgement(False, f"the answer is for {answer.name} and the truth for {truth.name}", "2")
    return compare_quantities(answer, truth, precision, distractors)


def _compare_with_formula(answer: ParsedAnswer, truth: Formula) -> Judgement:
    equation = to_equation(truth)
    if equation is not None and _is_other_equation(answer, truth.name):
        return _compare_with_relation(answer, equation)
    if not isinstance(answer, Formula):
        return Judgement(False, "the truth is a formula with variables", "5")
    if units_contradict(answer.unit, truth.unit):
        return Judgement(False, "the unit contradicts the truth's unit", "6")
    correct = are_identical(answer.node, truth.node)
    return Judgement(correct, f"{'' if correct else 'not '}the same formula as the truth", "5")


def _is_other_equation(answer: ParsedAnswer, name: str) -> bool:
    """Whether an answer to a truth such as `y = 2x + 3` is an equation not solved for the same name."""
    if isinstance(answer, Relation):
        return answer.sign == "="
    return isinstance(answer, Formula) and len(answer.name) == 1 and answer.name != name


def _compare_with_relation(answer: ParsedAnswer, truth: Relation) -> Judgement:
    actual = to_equation(answer)
    if actual is None or actual.sign != truth.sign:
        return Judgement(False, "not the same kind of relation as the truth", "2")
    ratio = constant_ratio(actual.difference, truth.difference)
    correct = ratio is not None and (truth.sign == "=" or ratio > 0)
    return Judgement(correct, f"{'' if correct else 'not '}the same relation as the truth", "5")


def _compare_with_parts(answer: ParsedAnswer, truth: Parts, precision: int | None) -> Judgement:
    if not isinstance(answer, Parts) or len(answer.items) != len(truth.items):
        return Judgement(False, f"the truth has {len(truth.items)} parts", "2")
    if ":" in (answer.bracket, truth.bracket):
        return _compare_with_ratio(answer, truth)
    for actual, expected in zip(_reorder_by_name(answer, truth), truth.items, strict=True):
        judgement = compare(actual, expected, precision)
        if not judgement.correct or _names_differ(actual, expected):
            return Judgement(False, f"a part or its name is wrong: {judgement.reason}", judgement.rule)
    return Judgement(True, "every part is right", "2")


def _reorder_by_name(answer: Parts, truth: Parts) -> tuple[ParsedAnswer, ...]:
    """Put named parts into the order of the truth; `x = 4, y = -7` is the point (4, -7)."""
    actual, expected = _part_names(answer), _part_names(truth)
    if not all(actual) or len(set(actual)) < len(actual):
        return answer.items
    if not any(expected):
        expected = ["x", "y", "z"][: len(actual)]
    if sorted(actual) != sorted(expected):
        return answer.items
    return tuple(answer.items[actual.index(name)] for name in expected)


def _names_differ(actual: ParsedAnswer, expected: ParsedAnswer) -> bool:
    if not isinstance(actual, Quantity | Formula) or not isinstance(expected, Quantity | Formula):
        return False
    return bool(actual.name and expected.name) and actual.name != expected.name


def _part_names(parts: Parts) -> list[str]:
    return [item.name if isinstance(item, Quantity | Formula) else "" for item in parts.items]


def _compare_with_ratio(answer: Parts, truth: Parts) -> Judgement:
    """Ratios of three or more terms are equal if their terms are proportional."""
    pairs = [
        (actual.value, expected.value)
        for actual, expected in zip(answer.items, truth.items, strict=True)
        if isinstance(actual, Quantity) and isinstance(expected, Quantity)
    ]
    actual_first, expected_first = pairs[0]
    correct = answer.bracket == truth.bracket and all(
        almost_equal(CONTEXT.multiply(actual, expected_first), CONTEXT.multiply(expected, actual_first))
        for actual, expected in pairs
    )
    return Judgement(correct, f"{'' if correct else 'not '}proportional to the truth", "5")
