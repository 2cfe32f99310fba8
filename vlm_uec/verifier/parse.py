"""A small recursive-descent parser: an expression's text to its tree, with hard limits on everything.

    sum     := sign? product (("+" | "-") product)*
    product := factor (("*" | "/") sign? factor | factor)*   a bare number may not follow without an operator
    factor  := atom ("^" sign? atom)? "°"?
    atom    := number | mixed | pi | variable | "(" sum ")" | "[" sum "]" | "{" sum "}" | frac | root | sin

The limits on size bound the time, so no clock decides a verdict. Nothing is ever evaluated as code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

from vlm_uec.verifier.arithmetic import MAX_EXPONENT, PI, ParseError, bounded
from vlm_uec.verifier.tree import Constant, Node, Operation, Variable, evaluate

MAX_CHARACTERS = 400
MAX_TOKENS = 200
MAX_DEPTH = 24
MAX_DIGITS = 30  # in one number: below the 50 of the arithmetic, so whole numbers stay exact

_TOKEN = re.compile(
    r"\s*+(?:(?P<number>[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]{1,2}(?![0-9A-Za-z.]))?|\.[0-9]++)"
    r"|(?P<command>\\[A-Za-z]++|(?:pi|sqrt|cbrt|sin|cos|tan)(?![A-Za-z]))"
    r"|(?P<variable>[A-Za-z]'{0,2})|(?P<symbol>.))",
    re.DOTALL,
)
_TRAILING_POINT = re.compile(r"(?<=[0-9])\.(?![0-9.])")
_WORDS = re.compile(r"[A-Za-z]{4,}")
_CLOSERS = {"(": ")", "{": "}", "[": "]"}
_GREEK_NAMES = "theta alpha beta gamma phi delta omega lambda mu varphi psi rho sigma ell"
_GREEK = frozenset(rf"\{name}" for name in _GREEK_NAMES.split())
_TRIGONOMETRIC = frozenset(("sin", "cos", "tan", "cot", "sec", "csc"))
_PLAIN_FUNCTIONS = {
    "pi": r"\pi",
    "sqrt": r"\sqrt",
    "cbrt": r"\cbrt",
    "sin": r"\sin",
    "cos": r"\cos",
    "tan": r"\tan",
}


def parse(text: str) -> Node:
    """The tree of `text` (normalised, without unit). Raises ParseError outside the grammar or limits."""
    if len(text) > MAX_CHARACTERS:
        raise ParseError(f"longer than {MAX_CHARACTERS} characters")
    tokens = _tokens(_TRAILING_POINT.sub("", text))
    if not tokens:
        raise ParseError("it is empty")
    return _Parser(tokens).parse()


def _tokens(text: str) -> list[str]:
    tokens = []
    for match in _TOKEN.finditer(text.strip()):
        token = match[match.lastgroup or 0]
        tokens.append(_PLAIN_FUNCTIONS.get(token, token))
    if len(tokens) > MAX_TOKENS:
        raise ParseError(f"more than {MAX_TOKENS} symbols")
    return tokens


def words_in(text: str) -> list[str]:
    """Words rather than variables: `sphere` is no product of six of them, and `no` not one of two."""
    bare = re.sub(r"\\[A-Za-z]+|sqrt|cbrt", " ", text).strip()
    return [bare] if re.fullmatch(r"[a-z]{2,3}", bare) else _WORDS.findall(bare)


def _is_number(token: str) -> bool:
    return token[:1] in _DIGITS or (token[:1] == "." and len(token) > 1)


def _is_whole(token: str) -> bool:
    return token.isascii() and token.isdigit()


_DIGITS = frozenset("0123456789")


def _is_variable(token: str) -> bool:
    return (token[:1].isascii() and token[:1].isalpha()) or token in _GREEK


def _literal(token: str) -> Constant:
    if len(token) > MAX_DIGITS:
        raise ParseError(f"a number of more than {MAX_DIGITS} digits")
    return Constant(bounded(Decimal(token)))


class _Parser:
    def __init__(self, tokens: list[str]):
        self.tokens = tokens
        self.place = 0
        self.depth = 0

    def parse(self) -> Node:
        node = self.sum()
        if self.peek():
            raise ParseError(f"{self.peek()!r} was not expected")
        return node

    def peek(self, ahead: int = 0) -> str:
        return self.tokens[self.place + ahead] if self.place + ahead < len(self.tokens) else ""

    def take(self) -> str:
        self.place += 1
        return self.tokens[self.place - 1] if self.place <= len(self.tokens) else ""

    def expect(self, symbol: str) -> None:
        if self.take() != symbol:
            raise ParseError(f"{symbol!r} is missing")

    def sum(self) -> Node:
        node = self.signed(self.product)
        while self.peek() in ("+", "-"):
            node = Operation(self.take(), (node, self.product()))
        return node

    def signed(self, read: Callable[[], Node]) -> Node:
        sign = self.take() if self.peek() in ("-", "+") else "+"
        node = read()
        return Operation("neg", (node,)) if sign == "-" else node

    def product(self) -> Node:
        node = self.factor()
        while symbol := self.peek():
            if symbol in ("*", "/"):
                node = Operation(self.take(), (node, self.signed(self.factor)))
            elif symbol in ("(", "{", "[") or self.starts_factor(symbol):
                node = Operation("*", (node, self.factor()))
            else:
                return node
        return node

    def starts_factor(self, symbol: str) -> bool:
        return symbol.startswith("\\") or _is_variable(symbol)

    def factor(self) -> Node:
        base = self.atom()
        if self.peek() == "^":
            self.take()
            base = Operation("^", (base, self.signed(self.atom)))
            if self.peek() == "^":
                raise ParseError("a power of a power needs brackets")
        if self.peek() == "°":
            self.take()
        return base

    def atom(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ParseError(f"nested deeper than {MAX_DEPTH}")
        node = self.atom_of(self.take())
        self.depth -= 1
        return node

    def atom_of(self, symbol: str) -> Node:
        if _is_number(symbol):
            return self.mixed(symbol)
        if _is_variable(symbol):
            return Variable(symbol + self.subscript())
        if symbol in _CLOSERS:
            node = self.sum()
            self.expect(_CLOSERS[symbol])
            return node
        return self.command(symbol)

    def command(self, symbol: str) -> Node:
        if symbol == r"\pi":
            return Constant(PI)
        if symbol == r"\frac":
            return Operation("/", (self.argument(), self.argument()))
        if symbol in (r"\sqrt", r"\cbrt"):
            return self.root(3 if symbol == r"\cbrt" else 2)
        if symbol[1:] in _TRIGONOMETRIC:
            return self.function(symbol[1:])
        raise ParseError(f"{symbol!r} was not expected" if symbol else "it ends too early")

    def subscript(self) -> str:
        if self.peek() != "_":
            return ""
        self.take()
        braced = self.peek() == "{"
        self.place += braced
        index = self.take()
        if not (_is_number(index) or _is_variable(index)):
            raise ParseError("a subscript that is no index")
        if braced:
            self.expect("}")
        return f"_{index}"

    def mixed(self, symbol: str) -> Node:
        r"""A number with its fraction: 4 \frac{2}{5} and 8 3/4 are sums."""
        whole, start = _literal(symbol), self.place
        latex = self.peek() == r"\frac"
        if not _is_whole(symbol) or not (latex or (_is_whole(self.peek()) and self.peek(1) == "/")):
            return whole
        if latex:
            self.take()
            above, below = self.argument(), self.argument()
        else:
            above, _, below = _literal(self.take()), self.take(), self.atom()
        written = self.tokens[start : self.place]
        if not all(_is_whole(part) or part in (r"\frac", "{", "}", "/") for part in written):
            self.place = start
            return whole
        if not evaluate(above, {}) < evaluate(below, {}):
            raise ParseError("the fraction of a mixed number must be below one")
        return Operation("+", (whole, Operation("/", (above, below))))

    def argument(self) -> Node:
        r"""A braced group, or the single digit or symbol that TeX takes where the braces are missing."""
        symbol = self.peek()
        if _is_number(symbol) and len(symbol) > 1:
            if not _is_whole(symbol) or len(symbol) > 2:
                raise ParseError(f"where {symbol!r} divides is unclear")
            self.tokens[self.place : self.place + 1] = [*symbol]
        return _literal(self.take()) if _is_number(self.peek()) else self.atom()

    def root(self, degree: int) -> Node:
        r"""`\sqrt35` takes the whole number: nobody who writes it means five times the root of 3."""
        if self.peek() == "[":
            degree = self.degree()
        radicand = _literal(self.take()) if _is_number(self.peek()) else self.atom()
        return Operation("root", (radicand, Constant(Decimal(degree))))

    def degree(self) -> int:
        self.take()
        symbol = self.take()
        self.expect("]")
        if not _is_whole(symbol) or not 2 <= int(symbol[:4]) <= MAX_EXPONENT:
            raise ParseError(f"a root of degree {symbol!r}")
        return int(symbol)

    def function(self, name: str) -> Node:
        """Of an angle in degrees with their sign, or of a multiple of pi; a bare number says neither."""
        start = self.place
        braced = self.peek() in _CLOSERS
        argument = self.atom() if braced else self.factor()
        written = self.tokens[start : self.place]
        if self.peek() == "°":
            written = [self.take()]
        if "°" in written:
            return Operation(name, (argument,))
        if r"\pi" in written:
            return Operation(name, (Operation("/", (Operation("*", (argument, _STRAIGHT)), Constant(PI))),))
        raise ParseError(f"{name} of an angle without its unit")


_STRAIGHT = Constant(Decimal(180))
