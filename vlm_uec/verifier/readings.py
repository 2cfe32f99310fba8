"""What a final answer can be once read: a quantity, a formula, a relation, or parts of these."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from vlm_uec.verifier.arithmetic import ParseError
from vlm_uec.verifier.tree import Constant, Node, Variable, difference
from vlm_uec.verifier.units import Unit

Kind = Literal["integer", "decimal", "exact", "ratio"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number. `decimals` and `significant` describe a decimal literal and are 0 for other kinds."""

    value: Decimal
    kind: Kind
    decimals: int = 0
    significant: int = 0
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
    """`left` = `right` with variables, or an inequality; sign is "=", "<" or "<=" after turning."""

    sign: str
    difference: Node


@dataclass(frozen=True, slots=True)
class Parts:
    """Several answers in order. `bracket`: "(", "[", "{", "" or ":" for a ratio of three and more."""

    items: tuple[Reading, ...]
    bracket: str = ""


Reading = Quantity | Formula | Relation | Parts


def node_of(reading: Quantity | Formula | Parts) -> Node:
    if isinstance(reading, Formula):
        return reading.node
    if isinstance(reading, Quantity):
        return Constant(reading.value)
    raise ParseError("a list in an equation")


def as_equation(reading: Reading) -> Relation | None:
    """`b = 90 - a` was read as a formula named b; as an equation it is b - (90 - a) = 0."""
    if isinstance(reading, Relation):
        return reading
    if isinstance(reading, Quantity | Formula) and re.fullmatch("[A-Za-z]", reading.name):
        return Relation("=", difference(Variable(reading.name), node_of(reading)))
    return None
