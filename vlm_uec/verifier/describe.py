"""Descriptions of parsed answers, for explanations of verdicts."""

from __future__ import annotations

from vlm_uec.verifier.answer_parser import parse_answer
from vlm_uec.verifier.answer_types import Formula, ParsedAnswer, Quantity, Relation
from vlm_uec.verifier.arithmetic import ParseError
from vlm_uec.verifier.choices import parse_choice_letter
from vlm_uec.verifier.normalise import MAX_TEXT
from vlm_uec.verifier.tree import Constant, Node, Variable

PRINTED_DIGITS = 12


def describe(text: str) -> str:
    """Describe how the verifier parses the text of an answer."""
    if (choice_letter := parse_choice_letter(text[:MAX_TEXT])) is not None and not choice_letter.content:
        return f"the letter {chr(ord('A') + choice_letter.choice_index)}"
    try:
        return _describe(parse_answer(text[:MAX_TEXT]))
    except ParseError as error:
        return f"text ({error})"


def _describe(parsed: ParsedAnswer) -> str:
    if isinstance(parsed, Quantity):
        shown = f"{parsed.value.normalize():.{PRINTED_DIGITS}g}"
        return _with_unit_and_name(f"the {parsed.kind} number {shown}", parsed)
    if isinstance(parsed, Formula):
        return _with_unit_and_name(f"the formula {_infix(parsed.node)}", parsed)
    if isinstance(parsed, Relation):
        return f"the relation {_infix(parsed.difference)} {parsed.sign} 0"
    parts = "; ".join(_describe(item) for item in parsed.items)
    return f"{len(parsed.items)} parts: {parts}"


def _with_unit_and_name(text: str, parsed: Quantity | Formula) -> str:
    unit = parsed.unit
    suffix = "" if unit is None else f", unit {unit.name}" + (f"^{unit.power}" if unit.power != 1 else "")
    return text + suffix + (f", named {parsed.name!r}" if parsed.name else "")


def _infix(node: Node) -> str:
    if isinstance(node, Constant):
        return f"{node.value:.{PRINTED_DIGITS}g}"
    if isinstance(node, Variable):
        return node.name
    if len(node.arguments) == 1:
        return f"{node.name}({_infix(node.arguments[0])})"
    left, right = map(_infix, node.arguments)
    return f"root({left}, {right})" if node.name == "root" else f"({left} {node.name} {right})"
