"""A recursive-descent parser from the text of an expression to its tree, with limits on every size.

    sum     := sign? product (("+" | "-") product)*
    product := factor (("*" | "/") sign? factor | factor)*   a number requires an operator before it
    factor  := atom ("^" sign? atom)? "°"?
    atom    := number | mixed | pi | variable | "(" sum ")" | "[" sum "]" | "{" sum "}" | frac | root | sin

The size limits bound the time, so verdicts do not depend on a timeout. Nothing is evaluated as code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

from vlm_uec.verifier.arithmetic import MAX_EXPONENT, PI, ParseError, check_magnitude
from vlm_uec.verifier.tree import Constant, Node, Operation, Variable, evaluate

MAX_CHARACTERS = 400
MAX_TOKENS = 200
MAX_DEPTH = 24
MAX_DIGITS = 30  # per number; fewer than the 50 digits of the arithmetic, so integers are exact

_TOKEN = re.compile(
    r"\s*+(?:(?P<number>[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]{1,2}(?![0-9A-Za-z.]))?|\.[0-9]++)"
    r"|(?P<command>\\[A-Za-z]++|(?:pi|sqrt|cbrt|sin|cos|tan)(?![A-Za-z]))"
    r"|(?P<variable>[A-Za-z]'{0,2})|(?P<symbol>.))",
    re.DOTALL,
)
_TRAILING_POINT = re.compile(r"(?<=[0-9])\.(?![0-9.])")
_WORDS = re.compile(r"[A-Za-z]{4,}")
_CLOSING_BRACKETS = {"(": ")", "{": "}", "[": "]"}
_GREEK_NAMES = "theta alpha beta gamma phi delta omega lambda mu varphi psi rho sigma ell"
_GREEK = frozenset(rf"\{name}" for name in _GREEK_NAMES.split())
_TRIGONOMETRIC = frozenset(("sin", "cos", "tan", "cot", "sec", "csc"))
_BARE_COMMANDS = {
    "pi": r"\pi",
    "sqrt": r"\sqrt",
    "cbrt": r"\cbrt",
    "sin": r"\sin",
    "cos": r"\cos",
    "tan": r"\tan",
}


def parse(text: str) -> Node:
    """Parse `text` (normalised, without unit). Raises ParseError outside the grammar or the limits."""
    if len(text) > MAX_CHARACTERS:
        raise ParseError(f"longer than {MAX_CHARACTERS} characters")
    tokens = _tokenize(_TRAILING_POINT.sub("", text))
    if not tokens:
        raise ParseError("the text is empty")
    return _Parser(tokens).parse()


def _tokenize(text: str) -> list[str]:
    tokens = []
    for match in _TOKEN.finditer(text.strip()):
        token = match[match.lastgroup or 0]
        tokens.append(_BARE_COMMANDS.get(token, token))
    if len(tokens) > MAX_TOKENS:
        raise ParseError(f"more than {MAX_TOKENS} symbols")
    return tokens


def find_words(text: str) -> list[str]:
    """Words as opposed to products of variables: `sphere` and `no` are words."""
    bare = re.sub(r"\\[A-Za-z]+|sqrt|cbrt", " ", text).strip()
    return [bare] if re.fullmatch(r"[a-z]{2,3}", bare) else _WORDS.findall(bare)


def _is_number(token: str) -> bool:
    return token[:1] in _DIGITS or (token[:1] == "." and len(token) > 1)


def _is_integer(token: str) -> bool:
    return token.isascii() and token.isdigit()


_DIGITS = frozenset("0123456789")


def _is_variable(token: str) -> bool:
    return (token[:1].isascii() and token[:1].isalpha()) or token in _GREEK


def _number_literal(token: str) -> Constant:
    if len(token) > MAX_DIGITS:
        raise ParseError(f"a number of more than {MAX_DIGITS} digits")
    return Constant(check_magnitude(Decimal(token)))


class _Parser:
    def __init__(self, tokens: list[str]):
        self.tokens = tokens
        self.position = 0
        self.depth = 0

    def parse(self) -> Node:
        node = self.sum()
        if self.peek():
            raise ParseError(f"unexpected symbol {self.peek()!r}")
        return node

    def peek(self, ahead: int = 0) -> str:
        return self.tokens[self.position + ahead] if self.position + ahead < len(self.tokens) else ""

    def next_token(self) -> str:
        self.position += 1
        return self.tokens[self.position - 1] if self.position <= len(self.tokens) else ""

    def expect(self, symbol: str) -> None:
        if self.next_token() != symbol:
            raise ParseError(f"{symbol!r} is missing")

    def sum(self) -> Node:
        node = self.signed(self.product)
        while self.peek() in ("+", "-"):
            node = Operation(self.next_token(), (node, self.product()))
        return node

    def signed(self, parse_operand: Callable[[], Node]) -> Node:
        sign = self.next_token() if self.peek() in ("-", "+") else "+"
        node = parse_operand()
        return Operation("neg", (node,)) if sign == "-" else node

    def product(self) -> Node:
        node = self.factor()
        while symbol := self.peek():
            if symbol in ("*", "/"):
                node = Operation(self.next_token(), (node, self.signed(self.factor)))
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
            self.next_token()
            base = Operation("^", (base, self.signed(self.atom)))
            if self.peek() == "^":
                raise ParseError("a power of a power requires brackets")
        if self.peek() == "°":
            self.next_token()
        return base

    def atom(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ParseError(f"nested deeper than {MAX_DEPTH}")
        node = self.atom_from(self.next_token())
        self.depth -= 1
        return node

    def atom_from(self, symbol: str) -> Node:
        if _is_number(symbol):
            return self.mixed(symbol)
        if _is_variable(symbol):
            return Variable(symbol + self.subscript())
        if symbol in _CLOSING_BRACKETS:
            node = self.sum()
            self.expect(_CLOSING_BRACKETS[symbol])
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
        raise ParseError(f"unexpected symbol {symbol!r}" if symbol else "unexpected end of the text")

    def subscript(self) -> str:
        if self.peek() != "_":
            return ""
        self.next_token()
        braced = self.peek() == "{"
        self.position += braced
        index = self.next_token()
        if not (_is_number(index) or _is_variable(index)):
            raise ParseError("the subscript is not an index")
        if braced:
            self.expect("}")
        return f"_{index}"

    def mixed(self, symbol: str) -> Node:
        r"""A number or a mixed number: 4 \frac{2}{5} and 8 3/4 are sums."""
        integer_part, start = _number_literal(symbol), self.position
        has_frac_command = self.peek() == r"\frac"
        if not _is_integer(symbol) or not (
            has_frac_command or (_is_integer(self.peek()) and self.peek(1) == "/")
        ):
            return integer_part
        if has_frac_command:
            self.next_token()
            numerator, denominator = self.argument(), self.argument()
        else:
            numerator, _, denominator = _number_literal(self.next_token()), self.next_token(), self.atom()
        consumed = self.tokens[start : self.position]
        if not all(_is_integer(part) or part in (r"\frac", "{", "}", "/") for part in consumed):
            self.position = start
            return integer_part
        if not evaluate(numerator, {}) < evaluate(denominator, {}):
            raise ParseError("the fraction of a mixed number must be below one")
        return Operation("+", (integer_part, Operation("/", (numerator, denominator))))

    def argument(self) -> Node:
        r"""A braced group, or the single digit or symbol that TeX takes if the braces are missing."""
        symbol = self.peek()
        if _is_number(symbol) and len(symbol) > 1:
            if not _is_integer(symbol) or len(symbol) > 2:
                raise ParseError(f"{symbol!r} without braces is ambiguous")
            self.tokens[self.position : self.position + 1] = [*symbol]
        return _number_literal(self.next_token()) if _is_number(self.peek()) else self.atom()

    def root(self, degree: int) -> Node:
        r"""`\sqrt35` is the root of 35: the writer does not mean five times the root of 3."""
        if self.peek() == "[":
            degree = self.degree()
        radicand = _number_literal(self.next_token()) if _is_number(self.peek()) else self.atom()
        return Operation("root", (radicand, Constant(Decimal(degree))))

    def degree(self) -> int:
        self.next_token()
        symbol = self.next_token()
        self.expect("]")
        if not _is_integer(symbol) or not 2 <= int(symbol[:4]) <= MAX_EXPONENT:
            raise ParseError(f"unsupported root degree {symbol!r}")
        return int(symbol)

    def function(self, name: str) -> Node:
        """A function of an angle with ° or of a multiple of pi; a bare number is ambiguous."""
        start = self.position
        braced = self.peek() in _CLOSING_BRACKETS
        argument = self.atom() if braced else self.factor()
        consumed = self.tokens[start : self.position]
        if self.peek() == "°":
            consumed = [self.next_token()]
        if "°" in consumed:
            return Operation(name, (argument,))
        if r"\pi" in consumed:
            return Operation(
                name, (Operation("/", (Operation("*", (argument, _STRAIGHT_ANGLE)), Constant(PI))),)
            )
        raise ParseError(f"{name} of an angle without a unit")


_STRAIGHT_ANGLE = Constant(Decimal(180))
