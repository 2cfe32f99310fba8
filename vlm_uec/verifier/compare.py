"""When a value is right: equal, or correctly rounded. There is no tolerance anywhere (policy, rules 3 to 6).

The nearest wrong choice in geometry data is 0.6 % away, so a relative tolerance would accept wrong answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from vlm_uec.verifier.parse import MAX_DIGITS, Number, Quantity, context
from vlm_uec.verifier.units import contradict

MIN_SIGNIFICANT = 4  # of a decimal given for an exact truth (rule 5)
MIN_DECIMALS = 2


class Judgement(NamedTuple):
    """Right or wrong, and why in words."""

    correct: bool
    reason: str


def equal(left: Number, right: Number) -> bool:
    """Equal up to the arithmetic's own rounding at 40 digits; whole numbers of up to 30 digits exactly."""
    return bool(abs(left - right) <= max(1, abs(left), abs(right)) * context().mpf("1e-35"))


def rounds_to(value: Number, target: Number, decimals: int) -> bool:
    """Whether both are the same at `decimals` decimals, halves away from zero."""
    return bool(_scaled(value, decimals) == _scaled(target, decimals))


def compare(
    answer: Quantity, truth: Quantity, precision: int | None, rivals: Sequence[Number] = ()
) -> Judgement:
    """Rules 3 to 6 for one answer.

    `precision`: the decimals a truth was rounded to (MathVista); None takes them from the truth as written.
    `rivals`: values of the other listed choices.
    """
    if contradict(answer.unit, truth.unit):
        return Judgement(False, "its unit contradicts the truth's")
    if equal(answer.value, truth.value):
        return Judgement(True, "equal to the truth")
    if any(equal(answer.value, rival) for rival in rivals):
        return Judgement(False, "equal to another choice")
    if precision is not None or truth.kind == "decimal":
        return _against_decimal(answer, truth, truth.decimals if precision is None else precision)
    if truth.kind == "integer" or answer.kind != "decimal":
        return Judgement(False, "not equal to the truth")
    return _against_exact(answer, truth, rivals)


def _against_decimal(answer: Quantity, truth: Quantity, decimals: int) -> Judgement:
    decimals = min(max(decimals, 0), MAX_DIGITS)
    correct = rounds_to(answer.value, truth.value, decimals)
    return Judgement(
        correct, f"{'rounds' if correct else 'does not round'} to the truth at {decimals} decimals"
    )


def _against_exact(answer: Quantity, truth: Quantity, rivals: Sequence[Number]) -> Judgement:
    if not rounds_to(truth.value, answer.value, answer.decimals):
        return Judgement(False, "not the exact truth correctly rounded")
    if answer.significant >= MIN_SIGNIFICANT and answer.decimals >= MIN_DECIMALS:
        return Judgement(True, "the exact truth correctly rounded")
    distance = abs(answer.value - truth.value)
    if rivals and all(distance < abs(answer.value - rival) for rival in rivals):
        return Judgement(True, "the truth is strictly the nearest choice to it")
    return Judgement(False, f"too few digits for an exact truth ({MIN_SIGNIFICANT} significant, 2 decimals)")


def _scaled(value: Number, decimals: int) -> int:
    # The last term lifts a half that binary arithmetic put a hair below itself.
    shifted = abs(value) * 10**decimals + context().mpf("0.5") + context().mpf("1e-20")
    whole = int(context().floor(shifted))
    return -whole if value < 0 else whole
