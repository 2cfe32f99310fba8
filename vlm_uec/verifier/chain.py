"""One answer out of `x = 12`, `A = 3 * 4 = 12` or `3 sqrt 3 = 5.196`: names drop out, values must agree."""

from __future__ import annotations

import re
from functools import reduce

from vlm_uec.verifier.compare import equal, rounds_to
from vlm_uec.verifier.parse import MAX_CHARACTERS, ParseError, Quantity, parse
from vlm_uec.verifier.units import Unit, contradict

MAX_MEMBERS = 8
_NAME = re.compile(
    r"(?:m ?)?(?:\\(?:angle|triangle|widehat) ?)?"
    r"(?:\{ ?)?(?:[A-Za-z](?: [A-Za-z]){0,3}|[A-Za-z]{1,12}|\\(?:alpha|beta|gamma|theta|phi)|[0-9])(?: ?\})?"
    r"(?: ?_ ?(?:[A-Za-z0-9]|\{[A-Za-z0-9 ]{1,12}\}))?'{0,2}"
)
_HEDGES = {"not", "no", "never", "or", "maybe", "either", "about"}


def one_value(text: str) -> Quantity:
    """The value of a normalised answer. Raises ParseError for several, contradictory or unreadable ones."""
    if len(text) > MAX_CHARACTERS:
        raise ParseError(f"longer than {MAX_CHARACTERS} characters")
    members = [member.strip() for member in re.split(r"=|\\approx(?![A-Za-z])", text)]
    if len(members) > MAX_MEMBERS:
        raise ParseError(f"a chain of more than {MAX_MEMBERS} members")
    while len(members) > 1 and _is_name(members[0]):
        members.pop(0)
    values = [parse(member) for member in members]
    finest = min(values, key=lambda value: (value.kind == "decimal", -value.decimals))
    if not all(_agree(value, finest) for value in values):
        raise ParseError("the members of its chain disagree")
    unit = reduce(_common_unit, (value.unit for value in values))
    return Quantity(finest.value, finest.kind, finest.decimals, finest.significant, unit)


def _is_name(member: str) -> bool:
    is_number = member.isdigit()
    return not is_number and _NAME.fullmatch(member) is not None and member.casefold() not in _HEDGES


def _agree(value: Quantity, finest: Quantity) -> bool:
    if value.kind == "decimal":
        return rounds_to(finest.value, value.value, value.decimals)
    return equal(value.value, finest.value)


def _common_unit(left: Unit | None, right: Unit | None) -> Unit | None:
    if contradict(left, right):
        raise ParseError("the units of its chain contradict")
    return left or right
