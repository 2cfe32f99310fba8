"""Readings in words, for people who ask why."""

from __future__ import annotations

from vlm_uec.verifier.arithmetic import ParseError
from vlm_uec.verifier.choices import read_letter
from vlm_uec.verifier.normalise import MAX_TEXT
from vlm_uec.verifier.read import read
from vlm_uec.verifier.readings import Formula, Quantity, Reading, Relation
from vlm_uec.verifier.tree import Constant, Node, Variable

SHOWN_DIGITS = 12


def describe(text: str) -> str:
    """What the verifier makes of an answer's text."""
    if (pick := read_letter(text[:MAX_TEXT])) is not None and not pick.rest:
        return f"the letter {chr(ord('A') + pick.place)}"
    try:
        return _in_words(read(text[:MAX_TEXT]))
    except ParseError as error:
        return f"words ({error})"


def _in_words(reading: Reading) -> str:
    if isinstance(reading, Quantity):
        shown = f"{reading.value.normalize():.{SHOWN_DIGITS}g}"
        return _named(f"the {reading.kind} number {shown}", reading)
    if isinstance(reading, Formula):
        return _named(f"the formula {_infix(reading.node)}", reading)
    if isinstance(reading, Relation):
        return f"the relation {_infix(reading.difference)} {reading.sign} 0"
    parts = "; ".join(_in_words(item) for item in reading.items)
    return f"{len(reading.items)} parts: {parts}"


def _named(words: str, reading: Quantity | Formula) -> str:
    unit = reading.unit
    suffix = "" if unit is None else f", unit {unit.name}" + (f"^{unit.power}" if unit.power != 1 else "")
    return words + suffix + (f", named {reading.name!r}" if reading.name else "")


def _infix(node: Node) -> str:
    if isinstance(node, Constant):
        return f"{node.value:.{SHOWN_DIGITS}g}"
    if isinstance(node, Variable):
        return node.name
    if len(node.arguments) == 1:
        return f"{node.name}({_infix(node.arguments[0])})"
    left, right = map(_infix, node.arguments)
    return f"root({left}, {right})" if node.name == "root" else f"({left} {node.name} {right})"
