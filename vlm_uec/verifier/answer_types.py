"""Types of parsed answers: a quantity, a formula, a relation, or parts of these."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from vlm_uec.verifier.arithmetic import ParseError
from vlm_uec.verifier.tree import Constant, Node, Variable, difference_node
from vlm_uec.verifier.units import Unit

NumberKind = Literal["integer", "decimal", "exact", "ratio"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number. `decimals` and `significant_digits` describe a number literal and are 0 otherwise."""

    value: Decimal
    kind: NumberKind
    decimals: int = 0
    significant_digits: int = 0
    unit: Unit | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Formula:
    """An expression with free variables."""

    node: Node
    unit: Unit | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Relation:
    """An equation with variables or an inequality: `difference` `sign` 0, with sign "=", "<" or "<="."""

    sign: str
    difference: Node


@dataclass(frozen=True, slots=True)
class Parts:
    """Several answers in order. `bracket`: "(", "[", "{", "" or ":" for a ratio of three or more terms."""

    items: tuple[ParsedAnswer, ...]
    bracket: str = ""


ParsedAnswer = Quantity | Formula | Relation | Parts


def to_node(parsed: Quantity | Formula | Parts) -> Node:
    if isinstance(parsed, Formula):
        return parsed.node
    if isinstance(parsed, Quantity):
        return Constant(parsed.value)
    raise ParseError("the equation contains a list")


def to_equation(parsed: ParsedAnswer) -> Relation | None:
    """The equation b - (90 - a) = 0 for `b = 90 - a`, which is parsed as a formula named b."""
    if isinstance(parsed, Relation):
        return parsed
    if isinstance(parsed, Quantity | Formula) and re.fullmatch("[A-Za-z]", parsed.name):
        return Relation("=", difference_node(Variable(parsed.name), to_node(parsed)))
    return None
