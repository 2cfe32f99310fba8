"""Expression trees of constants, variables and operations, evaluated without `eval`.

Two expressions with variables are identical if they agree at fixed points at 50 digits. A nonzero difference
of bounded size that is zero at all these points is not a practical risk. Unlike a symbolic simplifier, the
check takes bounded time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b

from vlm_uec.verifier import arithmetic
from vlm_uec.verifier.arithmetic import ParseError, almost_equal

SAMPLE_POINTS = 8  # the first half positive, as lengths are; the others of either sign
MIN_DEFINED_POINTS = 3  # required number of points where both expressions are defined


@dataclass(frozen=True, slots=True)
class Constant:
    value: Decimal


@dataclass(frozen=True, slots=True)
class Variable:
    name: str


@dataclass(frozen=True, slots=True)
class Operation:
    """`name`: + - * / ^ neg, `root` of a radicand and degree, or a trigonometric function of degrees."""

    name: str
    arguments: tuple[Node, ...]


Node = Constant | Variable | Operation

_FUNCTIONS: dict[str, Callable[..., Decimal]] = {
    "+": arithmetic.add, "-": arithmetic.subtract, "*": arithmetic.multiply, "/": arithmetic.divide,
    "^": arithmetic.power, "neg": Decimal.copy_negate,
    "root": lambda radicand, degree: arithmetic.root(radicand, int(degree)),
    **{
        name: (lambda degrees, name=name: arithmetic.trigonometric(name, degrees))
        for name in ("sin", "cos", "tan", "cot", "sec", "csc")
    },
}  # fmt: skip


def evaluate(node: Node, values: Mapping[str, Decimal]) -> Decimal:
    """The value for the given variables. Raises ParseError if it is undefined or out of range."""
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Variable):
        return values[node.name]
    return _FUNCTIONS[node.name](*(evaluate(argument, values) for argument in node.arguments))


def free_variables(node: Node) -> frozenset[str]:
    if isinstance(node, Variable):
        return frozenset((node.name,))
    if isinstance(node, Constant):
        return frozenset()
    return frozenset().union(*(free_variables(argument) for argument in node.arguments))


def difference_node(left: Node, right: Node) -> Node:
    return Operation("-", (left, right))


def are_identical(left: Node, right: Node) -> bool:
    """Whether both are the same function: equal at all points and undefined at the same points."""
    pairs = list(_value_pairs(left, right))
    defined_pairs = [
        (left_value, right_value)
        for left_value, right_value in pairs
        if left_value is not None and right_value is not None
    ]
    if (
        any((left_value is None) != (right_value is None) for left_value, right_value in pairs)
        or len(defined_pairs) < MIN_DEFINED_POINTS
    ):
        return False
    return all(almost_equal(left_value, right_value) for left_value, right_value in defined_pairs)


def constant_ratio(left: Node, right: Node) -> Decimal | None:
    """The constant c != 0 with left = c * right, None if there is no such constant."""
    ratios = []
    for left_value, right_value in _value_pairs(left, right):
        if left_value is None or right_value is None:
            continue
        if not left_value or not right_value:
            return None
        ratios.append(arithmetic.CONTEXT.divide(left_value, right_value))
    if len(ratios) < MIN_DEFINED_POINTS or not all(almost_equal(ratio, ratios[0]) for ratio in ratios):
        return None
    return ratios[0]


def _value_pairs(left: Node, right: Node) -> Iterator[tuple[Decimal | None, Decimal | None]]:
    names = sorted(free_variables(left) | free_variables(right))
    for index in range(SAMPLE_POINTS):
        point = {name: _coordinate(name, index) for name in names}
        yield _value_at(left, point), _value_at(right, point)


def _value_at(node: Node, point: Mapping[str, Decimal]) -> Decimal | None:
    try:
        return evaluate(node, point)
    except ParseError:
        return None


@lru_cache(maxsize=1024)
def _coordinate(name: str, index: int) -> Decimal:
    """A number of 18 digits between 0.4 and 3.2, determined by the variable's name and the point's index."""
    digest = int.from_bytes(blake2b(f"{name} {index}".encode(), digest_size=8).digest(), "big")
    magnitude = Decimal(digest % (28 * 10**16) + 4 * 10**16).scaleb(-17, context=arithmetic.CONTEXT)
    return magnitude.copy_negate() if index >= SAMPLE_POINTS // 2 and digest >> 63 else magnitude
