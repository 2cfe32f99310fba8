"""What an expression is once parsed: constants, variables and operations, evaluated without `eval`.

Two expressions with variables are the same where they agree at fixed points at 50 digits. A nonzero
difference of bounded size vanishing at all of them by accident has no practical chance, and unlike a
symbolic simplifier the check takes bounded time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b

from vlm_uec.verifier import arithmetic
from vlm_uec.verifier.arithmetic import ParseError, same

POINTS = 8  # the first half positive, as lengths are; the rest of mixed signs
MIN_POINTS = 3  # fewer where both are defined decide nothing


@dataclass(frozen=True, slots=True)
class Constant:
    value: Decimal


@dataclass(frozen=True, slots=True)
class Variable:
    name: str


@dataclass(frozen=True, slots=True)
class Operation:
    """`name`: + - * / ^ neg, `root` with its degree, or a trigonometric function of degrees."""

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
    """The value at `values` of the variables. Raises ParseError where it has none within the bounds."""
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Variable):
        return values[node.name]
    return _FUNCTIONS[node.name](*(evaluate(argument, values) for argument in node.arguments))


def variables(node: Node) -> frozenset[str]:
    if isinstance(node, Variable):
        return frozenset((node.name,))
    if isinstance(node, Constant):
        return frozenset()
    return frozenset().union(*(variables(argument) for argument in node.arguments))


def difference(left: Node, right: Node) -> Node:
    return Operation("-", (left, right))


def identical(left: Node, right: Node) -> bool:
    """Whether both are the same function: equal at every point, and undefined at the same ones."""
    pairs = list(_value_pairs(left, right))
    both = [(one, other) for one, other in pairs if one is not None and other is not None]
    if any((one is None) != (other is None) for one, other in pairs) or len(both) < MIN_POINTS:
        return False
    return all(same(one, other) for one, other in both)


def constant_ratio(left: Node, right: Node) -> Decimal | None:
    """The constant c with left = c * right and c != 0, None where there is no such constant."""
    ratios = []
    for one, other in _value_pairs(left, right):
        if one is None or other is None:
            continue
        if not one or not other:
            return None
        ratios.append(arithmetic.CONTEXT.divide(one, other))
    if len(ratios) < MIN_POINTS or not all(same(ratio, ratios[0]) for ratio in ratios):
        return None
    return ratios[0]


def _value_pairs(left: Node, right: Node) -> Iterator[tuple[Decimal | None, Decimal | None]]:
    names = sorted(variables(left) | variables(right))
    for place in range(POINTS):
        point = {name: _coordinate(name, place) for name in names}
        yield _value_at(left, point), _value_at(right, point)


def _value_at(node: Node, point: Mapping[str, Decimal]) -> Decimal | None:
    try:
        return evaluate(node, point)
    except ParseError:
        return None


@lru_cache(maxsize=1024)
def _coordinate(name: str, place: int) -> Decimal:
    """A number of 18 digits between 0.4 and 3.2, fixed by the variable's name and the point's place."""
    digest = int.from_bytes(blake2b(f"{name} {place}".encode(), digest_size=8).digest(), "big")
    size = Decimal(digest % (28 * 10**16) + 4 * 10**16).scaleb(-17, context=arithmetic.CONTEXT)
    return size.copy_negate() if place >= POINTS // 2 and digest >> 63 else size
