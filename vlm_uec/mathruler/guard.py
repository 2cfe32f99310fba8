"""Which expressions may be given to sympy's `parse_expr`, which evaluates its text as Python code.

A positive list: bounded arithmetic of numbers, single letters, `pi` and `sqrt`. Names and limits are chosen
so that Python reads the text as this module does, and that evaluating it takes little time and memory.
"""

from __future__ import annotations

import re

MAX_EXPRESSION = 400  # characters
MAX_DIGITS = 30  # in a row
MAX_EXPONENT = 99.0
MAX_EXPONENT_PRODUCT = 1000.0  # of all exponents, as powers may be nested

_NUMBER = r"(?:\d+\.?\d*|\.\d+)"
_NUMBER_TOKEN = re.compile(rf"{_NUMBER}(?:e[-+]?\d{{1,2}})?", re.ASCII)
# Python reads a whole word as one name: `sqrt3` is not `sqrt` and `3`. sympy splits it into letters.
_NAME_TOKEN = re.compile(r"(?:[a-z]?sqrt|pi|[a-z])\d*(?![a-z0-9])", re.ASCII)
_OPERATOR_TOKEN = re.compile(r"\*\*|[-+*/^()]")
_TOKENS = (_NUMBER_TOKEN, _NAME_TOKEN, _OPERATOR_TOKEN)
# `2e999` is one number for Python, as are `0x1` and `0b1`.
_AMBIGUOUS_NUMBER = re.compile(r"[\d.]e[-+]?\d{3}|(?<![\d.])0[box]")
_POWER = re.compile(r"\*\*|\^")
_EXPONENT = re.compile(
    rf"[-+]?(?:(?P<number>{_NUMBER})|\(-?(?P<top>\d+)/\d+\)|(?:pi|[a-z])(?![a-z0-9(]))(?!\*\*|[\^e\d.])",
    re.ASCII,
)


def refusal(expression: str) -> str | None:
    """Why the expression must not be evaluated; None if it is bounded arithmetic."""
    if len(expression) > MAX_EXPRESSION:
        return f"an expression of more than {MAX_EXPRESSION} characters"
    if re.search(rf"\d{{{MAX_DIGITS + 1}}}", expression):
        return f"a number of more than {MAX_DIGITS} digits"
    if _AMBIGUOUS_NUMBER.search(expression) or not _is_arithmetic(expression):
        return "not arithmetic of numbers, single letters, pi and sqrt"
    return _power_refusal(expression)


def _is_arithmetic(expression: str) -> bool:
    position = 0
    while position < len(expression):
        matches = (token.match(expression, position) for token in _TOKENS)
        match = next(filter(None, matches), None)
        if match is None:
            return False
        position = match.end()
    return True


def _power_refusal(expression: str) -> str | None:
    product = 1.0
    for power in _POWER.finditer(expression):
        exponent = _EXPONENT.match(expression, power.end())
        if exponent is None:
            return "an exponent that is neither a number nor one letter"
        product *= max(1.0, float(exponent["number"] or exponent["top"] or 1))
        if product > MAX_EXPONENT_PRODUCT or float(exponent["number"] or 0) > MAX_EXPONENT:
            return f"exponents above {MAX_EXPONENT:g}, or above {MAX_EXPONENT_PRODUCT:g} in total"
    return None
