"""A small recursive-descent parser: an answer's text to its value, with hard limits on everything.

    sum     := sign? product (("+" | "-") product)*
    product := power (("*" | "/")? power)*             a bare number may not follow without an operator
    power   := atom ("^" sign? atom)?
    atom    := number | mixed | pi | "(" sum ")" | "{" sum "}" | frac | root

The limits on size bound the time, so no clock decides a verdict. Nothing is ever evaluated as code.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Any, Literal

import mpmath

from vlm_uec.verifier.units import Unit, split_unit

MAX_CHARACTERS = 400
MAX_TOKENS = 200
MAX_DEPTH = 24
MAX_DIGITS = 30  # in one number: below the 40 of the arithmetic, so whole numbers stay exact
MAX_EXPONENT = 12
MAX_MAGNITUDE = 10**30
DIGITS = 40

Number = Any  # mpmath.mpf of the thread's own context; mpmath has no types
Kind = Literal["integer", "decimal", "exact"]

_NUMBER = r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?(?![0-9,])|[0-9]+(?:\.[0-9]+)?|\.[0-9]+"
_TOKEN = re.compile(rf"\s*(?:({_NUMBER})|(\\[A-Za-z]+|pi(?![A-Za-z]))|(.))", re.DOTALL)
_LITERAL = re.compile(rf"([+-]?)\s*({_NUMBER})")
_CLOSERS = {"(": ")", "{": "}"}
_LOCAL = threading.local()


class ParseError(ValueError):
    """The text is not one value within the limits."""


@dataclass(frozen=True)
class Quantity:
    """A parsed answer. `decimals` and `significant` describe a decimal literal and are 0 for other kinds."""

    value: Number
    kind: Kind
    decimals: int = 0
    significant: int = 0
    unit: Unit | None = None


def context() -> Any:
    """This thread's own mpmath context at 40 digits: the global one stays as its other users left it."""
    if not hasattr(_LOCAL, "context"):
        _LOCAL.context = mpmath.MPContext()
        _LOCAL.context.dps = DIGITS
    return _LOCAL.context


def parse(text: str) -> Quantity:
    """The value of `text` (already normalised). Raises ParseError where it is not one bounded value."""
    if len(text) > MAX_CHARACTERS:
        raise ParseError(f"longer than {MAX_CHARACTERS} characters")
    body, unit = split_unit(text)
    literal = _LITERAL.fullmatch(body)
    value = _Parser(_tokens(body)).parse()
    if literal is None:
        return Quantity(value, "exact", unit=unit)
    whole, _, fraction = literal[2].replace(",", "").partition(".")
    kind: Kind = "decimal" if fraction else "integer"
    return Quantity(value, kind, len(fraction), len((whole + fraction).lstrip("0")), unit)


def _tokens(text: str) -> list[str]:
    tokens = [match[1] or match[2] or match[3] for match in _TOKEN.finditer(text.strip())]
    if len(tokens) > MAX_TOKENS:
        raise ParseError(f"more than {MAX_TOKENS} symbols")
    return tokens


def _is_number(token: str) -> bool:
    return _is_whole(token[:1]) or (token[:1] == "." and len(token) > 1)


def _is_whole(token: str) -> bool:
    return token.isascii() and token.isdigit()


class _Parser:
    def __init__(self, tokens: list[str]):
        self.tokens = tokens
        self.place = 0
        self.depth = 0
        self.context = context()

    def parse(self) -> Number:
        value = self.sum()
        if self.peek():
            raise ParseError(f"{self.peek()!r} was not expected")
        return value

    def peek(self, ahead: int = 0) -> str:
        return self.tokens[self.place + ahead] if self.place + ahead < len(self.tokens) else ""

    def take(self) -> str:
        self.place += 1
        return self.tokens[self.place - 1] if self.place <= len(self.tokens) else ""

    def expect(self, symbol: str) -> None:
        if self.take() != symbol:
            raise ParseError(f"{symbol!r} is missing")

    def sum(self) -> Number:
        sign = -1 if self.peek() == "-" else 1
        self.place += self.peek() in ("-", "+")
        value = sign * self.product()
        while self.peek() in ("+", "-"):
            value = value + self.product() if self.take() == "+" else value - self.product()
        return self.bounded(value)

    def product(self) -> Number:
        value = self.power()
        while symbol := self.peek():
            if symbol == "/":
                self.take()
                value = self.divide(value, self.power())
            elif symbol == "*":
                self.take()
                value = self.bounded(value * self.power())
            elif symbol in ("(", "{") or symbol.startswith("\\") or symbol == "pi":
                value = self.bounded(value * self.power())
            else:
                return value
        return value

    def power(self) -> Number:
        base = self.atom()
        if self.peek() != "^":
            return base
        self.take()
        sign = -1 if self.peek() == "-" else 1
        self.place += self.peek() == "-"
        exponent = sign * self.atom()
        if self.peek() == "^":
            raise ParseError("a power of a power needs brackets")
        return self.raise_to(base, exponent)

    def atom(self) -> Number:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ParseError(f"nested deeper than {MAX_DEPTH}")
        value = self.atom_of(self.take())
        self.depth -= 1
        return value

    def atom_of(self, symbol: str) -> Number:
        if _is_number(symbol):
            return self.mixed(symbol)
        if symbol in (r"\pi", "pi"):
            return +self.context.pi
        if symbol in ("(", "{"):
            value = self.sum()
            self.expect(_CLOSERS[symbol])
            return value
        if symbol == r"\frac":
            return self.divide(self.argument(), self.argument())
        if symbol in (r"\sqrt", r"\root"):
            return self.root(bare_number=symbol == r"\root")
        raise ParseError(f"{symbol!r} was not expected" if symbol else "it ends too early")

    def number(self, symbol: str) -> Number:
        if len(symbol) > MAX_DIGITS:
            raise ParseError(f"a number of more than {MAX_DIGITS} digits")
        return self.context.mpf(symbol.replace(",", ""))

    def mixed(self, symbol: str) -> Number:
        r"""A number with its fraction: 4 \frac{2}{5} and 8 3/4 are sums."""
        whole, start = self.number(symbol), self.place
        latex = self.peek() == r"\frac"
        if not _is_whole(symbol) or not (latex or (_is_whole(self.peek()) and self.peek(1) == "/")):
            return whole
        if latex:
            self.take()
            above, below = self.argument(), self.argument()
        else:
            above, _, below = self.number(self.take()), self.take(), self.atom()
        written = self.tokens[start : self.place]
        if not all(_is_whole(part) or part in (r"\frac", "{", "}", "/") for part in written):
            self.place = start
            return whole
        if not above < below:
            raise ParseError("the fraction of a mixed number must be below one")
        return whole + self.divide(above, below)

    def argument(self) -> Number:
        r"""A braced group, or the single digit or symbol that TeX takes where the braces are missing."""
        symbol = self.peek()
        if _is_number(symbol) and len(symbol) > 1:
            if not _is_whole(symbol) or len(symbol) > 2:
                raise ParseError(f"where {symbol!r} divides is unclear")
            self.tokens[self.place : self.place + 1] = [*symbol]
        return self.number(self.take()) if _is_number(self.peek()) else self.atom()

    def root(self, bare_number: bool) -> Number:
        r"""`\sqrt35` is unclear (TeX: root of 3, times 5) and refused; the sign √ takes the whole number."""
        degree = self.degree() if self.peek() == "[" else 2
        if _is_number(self.peek()):
            if len(self.peek()) > 1 and not bare_number:
                raise ParseError(f"what of {self.peek()!r} stands under the root is unclear")
            radicand = self.number(self.take())
        else:
            radicand = self.atom()
        if radicand < 0:
            raise ParseError("the root of a negative number")
        return self.context.root(radicand, degree)

    def degree(self) -> int:
        self.take()
        symbol = self.take()
        self.expect("]")
        if not _is_whole(symbol) or not 2 <= int(symbol[:4]) <= MAX_EXPONENT:
            raise ParseError(f"a root of degree {symbol!r}")
        return int(symbol)

    def divide(self, above: Number, below: Number) -> Number:
        if below == 0:
            raise ParseError("a division by zero")
        return self.bounded(above / below)

    def raise_to(self, base: Number, exponent: Number) -> Number:
        if abs(exponent) > MAX_EXPONENT:
            raise ParseError(f"an exponent above {MAX_EXPONENT}")
        if (base < 0 and exponent != int(exponent)) or (base == 0 and exponent <= 0):
            raise ParseError("a power that is no real number")
        return self.bounded(base**exponent)

    def bounded(self, value: Number) -> Number:
        if abs(value) > MAX_MAGNITUDE:
            raise ParseError("too large")
        return value
