"""When a reading is right: equal, or correctly rounded, with no tolerance anywhere (policy, rules 2 to 6).

The nearest wrong choice in geometry data is 0.6 % away, so a relative tolerance would accept wrong answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from vlm_uec.verifier.arithmetic import CONTEXT, rounds_to, same
from vlm_uec.verifier.readings import Formula, Parts, Quantity, Reading, Relation, as_equation
from vlm_uec.verifier.tree import constant_ratio, identical
from vlm_uec.verifier.units import contradict

MIN_SIGNIFICANT = 4  # of a decimal given for an exact truth (rule 5)
MIN_DECIMALS = 2


class Judgement(NamedTuple):
    """Right or wrong, why in words, the rule (or "3 to 5") that decided; whether it could be understood."""

    correct: bool
    reason: str
    rule: str
    readable: bool = True


def compare(
    answer: Reading, truth: Reading, precision: int | None = None, rivals: Sequence[Decimal] = ()
) -> Judgement:
    """`precision`: decimals that the truth was rounded to; `rivals`: values of the other listed choices."""
    if isinstance(truth, Quantity):
        return _against_quantity(answer, truth, precision, rivals)
    if isinstance(truth, Parts):
        return _against_parts(answer, truth, precision)
    if isinstance(truth, Relation):
        return _against_relation(answer, truth)
    return _against_formula(answer, truth)


def compare_quantities(
    answer: Quantity, truth: Quantity, precision: int | None, rivals: Sequence[Decimal] = ()
) -> Judgement:
    """Rules 3 to 6 for two numbers."""
    if contradict(answer.unit, truth.unit) or _radians_for_degrees(answer, truth):
        return Judgement(False, "its unit contradicts the truth's", "6")
    if answer.kind == "ratio" and truth.kind in ("integer", "decimal"):
        return Judgement(False, "a ratio, and the truth is a plain number", "2")
    if same(answer.value, truth.value):
        return Judgement(True, "equal to the truth", "3 to 5")
    if any(same(answer.value, rival) for rival in rivals):
        return Judgement(False, "equal to another choice", "7")
    return _rounded_quantities(answer, truth, precision, rivals)


def _radians_for_degrees(answer: Quantity, truth: Quantity) -> bool:
    """A bare whole or decimal angle of geometry data is in degrees; a multiple of pi need not be."""
    implied = truth.unit is None and truth.kind in ("integer", "decimal")
    return implied and answer.unit is not None and answer.unit.name == "rad"


def _rounded_quantities(
    answer: Quantity, truth: Quantity, precision: int | None, rivals: Sequence[Decimal]
) -> Judgement:
    if truth.kind == "decimal" or (truth.kind == "integer" and precision is not None):
        return _against_decimal(answer, truth, truth.decimals if precision is None else precision)
    if truth.kind == "integer":
        return Judgement(False, "not equal to the truth", "3")
    if answer.kind != "decimal":
        return Judgement(False, "not equal to the truth", "5")
    return _against_exact(answer, truth, rivals)


def _against_decimal(answer: Quantity, truth: Quantity, decimals: int) -> Judgement:
    correct = rounds_to(answer.value, truth.value, decimals)
    verb = "rounds" if correct else "does not round"
    return Judgement(correct, f"{verb} to the truth at {decimals} decimals", "4")


def _against_exact(answer: Quantity, truth: Quantity, rivals: Sequence[Decimal]) -> Judgement:
    if not rounds_to(truth.value, answer.value, answer.decimals):
        return Judgement(False, "not the exact truth correctly rounded", "5")
    if answer.significant >= MIN_SIGNIFICANT and answer.decimals >= MIN_DECIMALS:
        return Judgement(True, "the exact truth correctly rounded", "5")
    distance = _distance(answer.value, truth.value)
    if rivals and all(distance < _distance(answer.value, rival) for rival in rivals):
        return Judgement(True, "correctly rounded, and strictly nearest to the true choice", "5")
    return Judgement(
        False,
        f"too few digits for an exact truth: {MIN_SIGNIFICANT} significant, {MIN_DECIMALS} decimals",
        "5",
    )


def _distance(left: Decimal, right: Decimal) -> Decimal:
    return CONTEXT.subtract(left, right).copy_abs()


def _against_quantity(
    answer: Reading, truth: Quantity, precision: int | None, rivals: Sequence[Decimal]
) -> Judgement:
    if isinstance(answer, Parts):
        return Judgement(False, "several answers, and the truth is one", "2")
    if isinstance(answer, Relation):
        return Judgement(False, "an equation or range, and the truth is one number", "2")
    if isinstance(answer, Formula):
        return Judgement(False, "it has free variables, and the truth has none", "5")
    if truth.name and answer.name and len(truth.name) == 1 == len(answer.name) and truth.name != answer.name:
        return Judgement(False, f"the value of {answer.name}, and the truth is of {truth.name}", "2")
    return compare_quantities(answer, truth, precision, rivals)


def _against_formula(answer: Reading, truth: Formula) -> Judgement:
    if not isinstance(answer, Formula):
        return Judgement(False, "the truth is a formula with variables", "5")
    if contradict(answer.unit, truth.unit):
        return Judgement(False, "its unit contradicts the truth's", "6")
    correct = identical(answer.node, truth.node)
    return Judgement(correct, f"{'' if correct else 'not '}the same formula as the truth", "5")


def _against_relation(answer: Reading, truth: Relation) -> Judgement:
    given = as_equation(answer)
    if given is None or given.sign != truth.sign:
        return Judgement(False, "not a relation of the truth's kind", "2")
    ratio = constant_ratio(given.difference, truth.difference)
    correct = ratio is not None and (truth.sign == "=" or ratio > 0)
    return Judgement(correct, f"{'' if correct else 'not '}the truth's relation", "5")


def _against_parts(answer: Reading, truth: Parts, precision: int | None) -> Judgement:
    if not isinstance(answer, Parts) or len(answer.items) != len(truth.items):
        return Judgement(False, f"the truth has {len(truth.items)} parts", "2")
    if ":" in (answer.bracket, truth.bracket):
        return _against_ratio(answer, truth)
    for given, wanted in zip(_in_order_of(answer, truth), truth.items, strict=True):
        judgement = compare(given, wanted, precision)
        if not judgement.correct or _misnamed(given, wanted):
            return Judgement(False, f"a part is wrong or misnamed: {judgement.reason}", judgement.rule)
    return Judgement(True, "every part is right", "2")


def _in_order_of(answer: Parts, truth: Parts) -> tuple[Reading, ...]:
    """Named parts may come in any order; `x = 4, y = -7` is the point (4, -7)."""
    given, wanted = _names(answer), _names(truth)
    if not all(given) or len(set(given)) < len(given):
        return answer.items
    if not any(wanted):
        wanted = ["x", "y", "z"][: len(given)]
    if sorted(given) != sorted(wanted):
        return answer.items
    return tuple(answer.items[given.index(name)] for name in wanted)


def _misnamed(given: Reading, wanted: Reading) -> bool:
    if not isinstance(given, Quantity | Formula) or not isinstance(wanted, Quantity | Formula):
        return False
    return bool(given.name and wanted.name) and given.name != wanted.name


def _names(parts: Parts) -> list[str]:
    return [item.name if isinstance(item, Quantity | Formula) else "" for item in parts.items]


def _against_ratio(answer: Parts, truth: Parts) -> Judgement:
    """Ratios of three and more are equal where their terms are proportional."""
    pairs = [
        (given.value, wanted.value)
        for given, wanted in zip(answer.items, truth.items, strict=True)
        if isinstance(given, Quantity) and isinstance(wanted, Quantity)
    ]
    first, second = pairs[0]
    correct = answer.bracket == truth.bracket and all(
        same(CONTEXT.multiply(given, second), CONTEXT.multiply(wanted, first)) for given, wanted in pairs
    )
    return Judgement(correct, f"{'' if correct else 'not '}proportional to the truth", "5")
