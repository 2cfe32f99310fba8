"""Real arithmetic at 50 digits that rejects values out of range. Pure, with equal results in every thread.

It uses the standard library's `decimal`, whose C implementation is several times faster than mpmath. The
operators of Decimal round to the context of the current thread, so every operation goes through `CONTEXT`.
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
ZERO_TOLERANCE = Decimal("1e-38")  # bounds the rounding error of 200 operations at 50 digits
MAX_EXPONENT = 12
MAX_DECIMALS = 30

CONTEXT = Context(prec=50, traps=[InvalidOperation, DivisionByZero, Overflow])
_ROUNDING_CONTEXT = Context(prec=90, rounding=ROUND_HALF_UP, traps=[InvalidOperation])
_CONTEXT_40_DIGITS = Context(prec=40)

ZERO, ONE, TWO = Decimal(0), Decimal(1), Decimal(2)
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494")
_DEGREES_PER_PI = Decimal(180)


class ParseError(ValueError):
    """The text is not a single value within the limits."""


class AmbiguousAnswerError(ParseError):
    """The text is parsable, but contains several answers, a range or contradictory members."""


def check_magnitude(value: Decimal) -> Decimal:
    """Return `value`. Raises ParseError if it is nonzero and outside 1e-30 to 1e30."""
    if value and not MIN_MAGNITUDE <= value.copy_abs() <= MAX_MAGNITUDE:
        raise ParseError("a number outside 1e-30 to 1e30")
    return value


def add(left: Decimal, right: Decimal) -> Decimal:
    return check_magnitude(_flush_to_zero(CONTEXT.add(left, right)))


def subtract(left: Decimal, right: Decimal) -> Decimal:
    return check_magnitude(_flush_to_zero(CONTEXT.subtract(left, right)))


def _flush_to_zero(value: Decimal) -> Decimal:
    """Treat the rounding error that remains after cancellation as zero."""
    return ZERO if value.copy_abs() < ZERO_TOLERANCE else value


def multiply(left: Decimal, right: Decimal) -> Decimal:
    return check_magnitude(CONTEXT.multiply(left, right))


def divide(numerator: Decimal, denominator: Decimal) -> Decimal:
    if not denominator:
        raise ParseError("a division by zero")
    return check_magnitude(CONTEXT.divide(numerator, denominator))


def power(base: Decimal, exponent: Decimal) -> Decimal:
    """Raises ParseError for |exponent| > 12 and for powers that are not real numbers."""
    if exponent.copy_abs() > MAX_EXPONENT:
        raise ParseError(f"an exponent above {MAX_EXPONENT}")
    is_integer = exponent == exponent.to_integral_value()
    if (base < 0 and not is_integer) or (not base and exponent <= 0):
        raise ParseError("a power that is not a real number")
    try:
        return check_magnitude(CONTEXT.power(base, exponent))
    except DecimalException as error:
        raise ParseError("a power out of range") from error


def root(radicand: Decimal, degree: int = 2) -> Decimal:
    """Raises ParseError for an even root of a negative number."""
    if radicand < 0:
        if degree % 2 == 0:
            raise ParseError("the root of a negative number")
        return root(radicand.copy_negate(), degree).copy_negate()
    if degree == 2:
        return check_magnitude(CONTEXT.sqrt(radicand))
    return power(radicand, CONTEXT.divide(ONE, Decimal(degree))) if radicand else ZERO


def trigonometric(name: str, degrees: Decimal) -> Decimal:
    """`sin`, `cos`, `tan`, `cot`, `sec` or `csc` of an angle in degrees."""
    if degrees.copy_abs() > 10**6:
        raise ParseError("an angle above a million degrees")
    sine = _sine(degrees)
    cosine = _sine(CONTEXT.subtract(Decimal(90), degrees))
    numerator, denominator = {
        "sin": (sine, ONE), "cos": (cosine, ONE), "tan": (sine, cosine),
        "cot": (cosine, sine), "sec": (ONE, cosine), "csc": (ONE, sine),
    }[name]  # fmt: skip
    return divide(_flush_to_zero(numerator), _flush_to_zero(denominator))


def almost_equal(left: Decimal, right: Decimal) -> bool:
    """Whether both are equal up to rounding error. Integers of up to 30 digits are compared exactly."""
    if left == right:
        return True
    magnitude = max(ONE, left.copy_abs(), right.copy_abs())
    return CONTEXT.subtract(left, right).copy_abs() <= CONTEXT.multiply(magnitude, ZERO_TOLERANCE)


def round_half_up(value: Decimal, decimals: int) -> Decimal:
    """Round `value` to `decimals` decimals, halves away from zero."""
    # Rounding to 40 digits first removes rounding errors that would push a half below itself.
    return _ROUNDING_CONTEXT.quantize(
        _CONTEXT_40_DIGITS.plus(value), _quantum(min(max(decimals, 0), MAX_DECIMALS))
    )


def rounds_to(value: Decimal, target: Decimal, decimals: int) -> bool:
    """Whether both are equal after rounding to `decimals` decimals."""
    return round_half_up(value, decimals) == round_half_up(target, decimals)


@lru_cache(maxsize=MAX_DECIMALS + 1)
def _quantum(decimals: int) -> Decimal:
    return Decimal((0, (1,), -decimals))


def _sine(degrees: Decimal) -> Decimal:
    """Taylor series about zero, after reduction to less than a full turn."""
    reduced = CONTEXT.remainder(degrees, Decimal(360))
    angle = CONTEXT.divide(CONTEXT.multiply(reduced, PI), _DEGREES_PER_PI)
    square, term, total = CONTEXT.multiply(angle, angle), angle, angle
    for step in range(1, 45):  # 6.3**89 / 89! is below 1e-65
        term = CONTEXT.divide(CONTEXT.multiply(term, square), Decimal(-(2 * step) * (2 * step + 1)))
        total = CONTEXT.add(total, term)
    return total
