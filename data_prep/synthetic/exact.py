"""Exact answers in the notation of Geometry3K.

All computation uses integers and fractions, no floats. Decimals are rounded half away from zero, as in school
books. LaTeX has spaces inside its braces, as in Geometry3K.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Literal

Form = Literal["whole", "decimal", "radical", "fraction", "pi"]

# Rational bounds of pi, 10^-30 apart: precise enough to round the multiples of pi that occur in problems.
_PI_DIGITS = 3141592653589793238462643383279
_PI_LOW = Fraction(_PI_DIGITS, 10**30)
_PI_HIGH = Fraction(_PI_DIGITS + 1, 10**30)


@dataclass(frozen=True)
class ExactAnswer:
    """An answer as text, and its form."""

    text: str
    form: Form


def round_half_away(value: Fraction, digits: int) -> str:
    """`value` rounded to `digits` decimals, ties away from zero, always with `digits` decimals."""
    scale = 10**digits
    units = (2 * abs(value.numerator) * scale + value.denominator) // (2 * value.denominator)
    sign = "-" if value < 0 and units else ""
    whole, rest = divmod(units, scale)
    return f"{sign}{whole}.{rest:0{digits}d}" if digits else f"{sign}{whole}"


def whole(value: int) -> ExactAnswer:
    return ExactAnswer(str(value), "whole")


def terminating(value: Fraction) -> ExactAnswer:
    """A whole number or one with a single decimal, such as 37.5. Raises ValueError for others."""
    if value.denominator == 1:
        return whole(value.numerator)
    if (10 * value).denominator != 1:
        raise ValueError(f"{value} needs more than one decimal")
    return ExactAnswer(round_half_away(value, 1), "decimal")


def fraction(value: Fraction) -> ExactAnswer:
    """A fraction in lowest terms, or a whole number."""
    if value.denominator == 1:
        return whole(value.numerator)
    return ExactAnswer(f"\\frac {{ {value.numerator} }} {{ {value.denominator} }}", "fraction")


def split_square(radicand: int) -> tuple[int, int]:
    """(k, m) with radicand = k * k * m and m square-free. Raises ValueError unless radicand > 0."""
    if radicand <= 0:
        raise ValueError(f"{radicand} is not a positive radicand")
    outside = max(k for k in range(1, isqrt(radicand) + 1) if radicand % (k * k) == 0)
    return outside, radicand // (outside * outside)


def root(radicand: int) -> ExactAnswer:
    """The square root of a positive integer in simplest form."""
    outside, inside = split_square(radicand)
    if inside == 1:
        return whole(outside)
    factor = "" if outside == 1 else f"{outside} "
    return ExactAnswer(f"{factor}\\sqrt {{ {inside} }}", "radical")


def root_to_tenth(radicand: int) -> ExactAnswer:
    """The square root of a positive integer to the nearest tenth.

    floor(10 sqrt(n) + 1/2) = floor((sqrt(400 n) + 1) / 2); a tie would make sqrt(n) an odd number of
    twentieths, whose square is never whole.
    """
    tenths = (isqrt(400 * radicand) + 1) // 2
    return ExactAnswer(round_half_away(Fraction(tenths, 10), 1), "decimal")


def times_pi(factor: int) -> ExactAnswer:
    return ExactAnswer(f"{factor} \\pi" if factor != 1 else "\\pi", "pi")


def plus_pi_to_tenth(rational: Fraction, factor: Fraction) -> ExactAnswer:
    """rational + factor * pi to the nearest tenth. Raises ValueError if rounding is ambiguous."""
    low, high = (round_half_away(rational + factor * pi, 1) for pi in (_PI_LOW, _PI_HIGH))
    if low != high:
        raise ValueError(f"{rational} + {factor} pi is too near a rounding boundary")
    return ExactAnswer(low, "decimal")
