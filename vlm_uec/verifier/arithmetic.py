"""Real arithmetic at 50 digits that refuses what is unbounded. Pure and the same in every thread.

The `decimal` module of the standard library: an explicit context makes no use of the thread's own one, and
its C implementation is several times faster than mpmath. Operators of Decimal would round to the thread's
context, so every operation goes through `CONTEXT`.
"""

from __future__ import annotations

from decimal import (
    ROUND_HALF_UP,
    Context,
    Decimal,
    DecimalException,
    DivisionByZero,
    InvalidOperation,
    Overflow,
)
from functools import lru_cache

MAX_MAGNITUDE = Decimal("1e30")
MIN_MAGNITUDE = Decimal("1e-30")
NOISE = Decimal("1e-38")  # what 200 operations at 50 digits may leave of a zero
MAX_EXPONENT = 12
MAX_DECIMALS = 30

CONTEXT = Context(prec=50, traps=[InvalidOperation, DivisionByZero, Overflow])
_WIDE = Context(prec=90, rounding=ROUND_HALF_UP, traps=[InvalidOperation])
_FORTY = Context(prec=40)

ZERO, ONE, TWO = Decimal(0), Decimal(1), Decimal(2)
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494")
_HALF_TURN = Decimal(180)


class ParseError(ValueError):
    """The text is not one value within the limits."""


class SeveralError(ParseError):
    """The text is readable, but holds several answers, a range, or members that contradict one another."""


def bounded(value: Decimal) -> Decimal:
    """`value` itself. Raises ParseError outside 1e-30 to 1e30, but for zero."""
    if value and not MIN_MAGNITUDE <= value.copy_abs() <= MAX_MAGNITUDE:
        raise ParseError("a number outside 1e-30 to 1e30")
    return value


def add(left: Decimal, right: Decimal) -> Decimal:
    return bounded(_without_noise(CONTEXT.add(left, right)))


def subtract(left: Decimal, right: Decimal) -> Decimal:
    return bounded(_without_noise(CONTEXT.subtract(left, right)))


def _without_noise(value: Decimal) -> Decimal:
    """What rounding leaves of a difference that cancels is zero."""
    return ZERO if value.copy_abs() < NOISE else value


def multiply(left: Decimal, right: Decimal) -> Decimal:
    return bounded(CONTEXT.multiply(left, right))


def divide(above: Decimal, below: Decimal) -> Decimal:
    if not below:
        raise ParseError("a division by zero")
    return bounded(CONTEXT.divide(above, below))


def power(base: Decimal, exponent: Decimal) -> Decimal:
    """Raises ParseError for |exponent| > 12 and for powers that are no real number."""
    if exponent.copy_abs() > MAX_EXPONENT:
        raise ParseError(f"an exponent above {MAX_EXPONENT}")
    whole = exponent == exponent.to_integral_value()
    if (base < 0 and not whole) or (not base and exponent <= 0):
        raise ParseError("a power that is no real number")
    try:
        return bounded(CONTEXT.power(base, exponent))
    except DecimalException as error:
        raise ParseError("a power out of range") from error


def root(radicand: Decimal, degree: int = 2) -> Decimal:
    """Raises ParseError for an even root of a negative number."""
    if radicand < 0:
        if degree % 2 == 0:
            raise ParseError("the root of a negative number")
        return root(radicand.copy_negate(), degree).copy_negate()
    if degree == 2:
        return bounded(CONTEXT.sqrt(radicand))
    return power(radicand, CONTEXT.divide(ONE, Decimal(degree))) if radicand else ZERO


def trigonometric(name: str, degrees: Decimal) -> Decimal:
    """`sin`, `cos`, `tan`, `cot`, `sec` or `csc` of an angle in degrees."""
    if degrees.copy_abs() > 10**6:
        raise ParseError("an angle above a million degrees")
    sine = _sine(degrees)
    cosine = _sine(CONTEXT.subtract(Decimal(90), degrees))
    above, below = {
        "sin": (sine, ONE), "cos": (cosine, ONE), "tan": (sine, cosine),
        "cot": (cosine, sine), "sec": (ONE, cosine), "csc": (ONE, sine),
    }[name]  # fmt: skip
    return divide(_without_noise(above), _without_noise(below))


def same(left: Decimal, right: Decimal) -> bool:
    """Equal up to the arithmetic's own rounding; whole numbers of up to 30 digits exactly."""
    if left == right:
        return True
    size = max(ONE, left.copy_abs(), right.copy_abs())
    return CONTEXT.subtract(left, right).copy_abs() <= CONTEXT.multiply(size, NOISE)


def rounded(value: Decimal, decimals: int) -> Decimal:
    """`value` at `decimals` decimals, halves away from zero."""
    # At 40 digits first: a half that the arithmetic put a hair below itself is a half again.
    return _WIDE.quantize(_FORTY.plus(value), _unit_in_place(min(max(decimals, 0), MAX_DECIMALS)))


def rounds_to(value: Decimal, target: Decimal, decimals: int) -> bool:
    """Whether both are the same at `decimals` decimals."""
    return rounded(value, decimals) == rounded(target, decimals)


@lru_cache(maxsize=MAX_DECIMALS + 1)
def _unit_in_place(decimals: int) -> Decimal:
    return Decimal((0, (1,), -decimals))


def _sine(degrees: Decimal) -> Decimal:
    """Taylor's series about zero, after reduction to at most half a turn."""
    reduced = CONTEXT.remainder(degrees, Decimal(360))
    angle = CONTEXT.divide(CONTEXT.multiply(reduced, PI), _HALF_TURN)
    square, term, total = CONTEXT.multiply(angle, angle), angle, angle
    for step in range(1, 45):  # 6.3**89 / 89! is below 1e-65
        term = CONTEXT.divide(CONTEXT.multiply(term, square), Decimal(-(2 * step) * (2 * step + 1)))
        total = CONTEXT.add(total, term)
    return total
