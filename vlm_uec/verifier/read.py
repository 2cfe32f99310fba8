"""A final answer's text as something to compare: a quantity, a formula, a relation, or parts of these.

Names drop out of `x = 12`; the members of a chain such as `3 sqrt 3 = 5.196` must agree (rule 2).
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

from vlm_uec.verifier.arithmetic import ParseError, SeveralError, rounds_to, same
from vlm_uec.verifier.brackets import OPEN, split, unbracketed
from vlm_uec.verifier.names import are_known, is_name, is_phrase, is_symbol
from vlm_uec.verifier.normalise import normalise
from vlm_uec.verifier.parse import MAX_CHARACTERS, MAX_DIGITS, parse, words_in
from vlm_uec.verifier.readings import Formula, Kind, Parts, Quantity, Reading, Relation, node_of
from vlm_uec.verifier.tree import (
    Constant,
    Operation,
    difference,
    evaluate,
    identical,
    variables,
)
from vlm_uec.verifier.units import Unit, contradict, split_unit

MAX_MEMBERS = 8
MAX_PARTS = 40

_PLAIN = re.compile(r"([+-]?)([0-9]{1,25})(?:\.([0-9]{1,25}))?", re.ASCII)
_LITERAL = re.compile(r"([+-]?) ?([0-9]*)(?:\.([0-9]*))?")
_GROUPED = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9]|,[0-9])")
_CHAIN = re.compile(r"\\approx(?![A-Za-z])|=")
_INEQUALITY = re.compile(r"<=|>=|=<|=>|<|>|\\le(?![A-Za-z])|\\ge(?![A-Za-z])")
_TURNED = {"<": "<", "<=": "<=", "=<": "<=", r"\le": "<=", ">": "<", ">=": "<=", "=>": "<=", r"\ge": "<="}
_SEVERAL = re.compile(
    r"\\(?:pm|mp|ne|range|sim|cong|infty|in|cup|lor|vee|to)(?![A-Za-z])"
    r"|(?:^|[^A-Za-z\\])(?:or|either|between|not)(?![A-Za-z])",
    re.IGNORECASE,
)
_AND = re.compile(r"(?:, ?)?(?<![A-Za-z\\])and(?![A-Za-z])|&|、")
_ABOUT = re.compile(r"^(?:approximately|approx\.?)(?= ?[0-9.\\-])", re.IGNORECASE)
_TRIGONOMETRIC = re.compile(r"\\?(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_IS = re.compile(
    r"\s(?:is|are|equals|is equal to|equal to|measures)(?: approximately)?(?=[\s=:])\s?[=:]?"
    r"|是|等于|为"
)
_RANGE = re.compile(r"[0-9.]{1,12} ?%? ?[-–—~] ?[0-9.]{1,12} ?%?")
_TO = re.compile(r"^([0-9.]{1,12}) to ([0-9.]{1,12})$")
_MINUTES = re.compile(
    r"(-?[0-9]{1,6})° ?([0-9]{1,2}(?:\.[0-9]{1,6})?)'(?: ?([0-9]{1,2}(?:\.[0-9]{1,6})?)'')?"
)
_POINT_NAME = re.compile(
    r"^(?:[A-Z](?: ?=)?|\( ?[A-Z]\w? ?, ?[A-Z]\w? ?\) ?=|(?:answer|point|solution) ?[=:]) ?(?=[(\[]|\\\{)",
    re.IGNORECASE,
)


def read_plain(text: str) -> Quantity | None:
    """The fast path: a bare ASCII number, which is most answers."""
    match = _PLAIN.fullmatch(text)
    if match is None:
        return None
    return _number(match[0], match[2], match[3] or "")


def read(text: str) -> Reading:
    """What `text` says. Raises ParseError where it is unreadable, SeveralError where it says too much."""
    plain = read_plain(text.strip())
    return plain or read_normalised(normalise(text))


def read_normalised(text: str) -> Reading:
    if len(text) > MAX_CHARACTERS:
        raise ParseError(f"longer than {MAX_CHARACTERS} characters")
    ungrouped = _GROUPED.sub(lambda match: match[0].replace(",", ""), text)
    parts = _parts(ungrouped)
    if parts is not None:
        return parts
    if found := _SEVERAL.search(ungrouped):
        raise SeveralError(f"{found[0].strip()!r} is no single value")
    if signs := _INEQUALITY.findall(ungrouped):
        return _inequality(ungrouped, signs)
    return read_chain(ungrouped)


def read_as_parts(text: str) -> Parts:
    """`text` with every comma between parts, none between thousands: 3,675 is two numbers."""
    parts = _parts(text)
    if parts is None:
        raise ParseError("it has no several parts")
    return parts


def read_chain(text: str) -> Reading:
    """`A = 3 * 4 = 12`, `the area is 12`, `3 sqrt 3 = 5.196`, or a single member."""
    text = _ABOUT.sub(r"\\approx ", text)
    named = _IS.split(text, maxsplit=1)
    if len(named) == 2 and is_name(named[0]):
        text = f"{named[0]} = {named[1]}"
    members = [member.strip() for member in _CHAIN.split(_colon_as_equals(text))]
    if len(members) > MAX_MEMBERS:
        raise ParseError(f"a chain of more than {MAX_MEMBERS} members")
    if len(members) > 1 and not members[0]:
        members.pop(0)
    name = ""
    while len(members) > 1 and is_name(members[0]):
        name = members.pop(0)
    if not name and len(members) == 2 and is_symbol(members[1]):
        name = members.pop()  # 33 = x
    reading = _agreed([_member(member) for member in members], bool(name))
    if isinstance(reading, Formula) and any(words_in(split_unit(member)[0]) for member in members):
        raise ParseError("words")
    return _with_name(reading, name)


def _agreed(readings: list[Quantity | Formula | Parts], named: bool) -> Reading:
    if len(readings) == 1:
        return readings[0]
    numbers = [reading for reading in readings if isinstance(reading, Quantity)]
    formulas = [reading for reading in readings if isinstance(reading, Formula)]
    if len(numbers) + len(formulas) < len(readings):
        raise SeveralError("lists in a chain")
    if formulas and numbers and not named:
        return _equation(readings)
    if not numbers:
        return _agreed_formulas(formulas) if named else _equation(readings)
    finest = min(numbers, key=lambda number: (number.kind == "decimal", -number.decimals))
    if not all(_agree(number, finest) for number in numbers):
        raise SeveralError("the members of its chain disagree")
    return replace(finest, unit=_common_unit(numbers))


def _agreed_formulas(formulas: list[Formula]) -> Formula:
    if not all(identical(formula.node, formulas[0].node) for formula in formulas):
        raise SeveralError("the members of its chain disagree")
    return formulas[0]


def _equation(readings: list[Quantity | Formula | Parts]) -> Relation:
    if len(readings) != 2:
        raise SeveralError("a chain with variables is no single value")
    left, right = (node_of(reading) for reading in readings)
    return Relation("=", difference(left, right))


def _agree(number: Quantity, finest: Quantity) -> bool:
    if number.kind == "decimal":
        return rounds_to(finest.value, number.value, number.decimals)
    return same(number.value, finest.value)


def _common_unit(numbers: list[Quantity]) -> Unit | None:
    units = [number.unit for number in numbers if number.unit]
    if any(contradict(unit, units[0]) for unit in units):
        raise SeveralError("the units of its chain contradict")
    return units[0] if units else None


def _with_name(reading: Reading, name: str) -> Reading:
    return replace(reading, name=name) if isinstance(reading, Quantity | Formula) else reading


def _colon_as_equals(text: str) -> str:
    name, colon, rest = text.partition(":")
    return f"{name} = {rest}" if colon and is_phrase(name) and len(name.strip()) > 2 else text


def _member(text: str) -> Quantity | Formula | Parts:
    if not text:
        raise ParseError("a member of it is empty")
    if ratio := _TO.match(text):
        text = f"{ratio[1]}:{ratio[2]}"
    sides = split(text, ":")
    return _value(text) if len(sides) == 1 else _ratio(sides)


def _ratio(sides: list[str]) -> Quantity | Parts:
    values = []
    for side in sides:
        value = _value(side)
        if not isinstance(value, Quantity):
            raise ParseError("a ratio of no numbers")
        values.append(value)
    if len(values) > 2:
        return Parts(tuple(values), ":")
    if not values[1].value:
        raise ParseError("a ratio to zero")
    above, below = (Constant(value.value) for value in values)
    return Quantity(evaluate(Operation("/", (above, below)), {}), "ratio")


def _value(text: str) -> Quantity | Formula:
    if minutes := _MINUTES.fullmatch(text.strip()):
        return _degrees_and_minutes(minutes)
    body, unit = (text, None) if _TRIGONOMETRIC.search(text) else split_unit(text)
    single_letter = unit is not None and len(unit.name) == 1 and unit.name.isalpha()
    node = parse(body)
    names = variables(node)
    if names and single_letter:
        node, unit = parse(text), None
        names = variables(node)
    if names:
        if not are_known(word for word in words_in(body) if len(word) > 3):
            raise ParseError("words")
        return Formula(node, unit)
    literal = _LITERAL.fullmatch(body.strip("(){} "))
    if literal is None or not (literal[2] or literal[3]):
        return Quantity(evaluate(node, {}), "exact", unit=unit)
    return replace(_number(literal[0].replace(" ", ""), literal[2], literal[3] or ""), unit=unit)


def _number(text: str, whole: str, fraction: str) -> Quantity:
    if len(text) > MAX_DIGITS + 2:
        raise ParseError(f"a number of more than {MAX_DIGITS} digits")
    kind: Kind = "decimal" if fraction else "integer"
    return Quantity(Decimal(text), kind, len(fraction), len((whole + fraction).lstrip("0")))


def _degrees_and_minutes(match: re.Match[str]) -> Quantity:
    minutes, seconds = Decimal(match[2]), Decimal(match[3] or 0)
    if minutes >= 60 or seconds >= 60:
        raise ParseError("minutes or seconds of 60 and more")
    part = parse(f"{minutes}/60+{seconds}/3600")
    sign = "-" if match[1].startswith("-") else "+"
    value = evaluate(Operation(sign, (Constant(Decimal(match[1])), part)), {})
    return Quantity(value, "exact", unit=Unit("°"))


def _inequality(text: str, signs: list[str]) -> Relation:
    if len(signs) != 1 or "=" in _INEQUALITY.sub("", text):
        raise SeveralError("a range is no single value")
    left, right = (node_of(_value(side)) for side in _INEQUALITY.split(text))
    turned = signs[0][0] == ">" or signs[0] in ("=>", r"\ge")
    return Relation(_TURNED[signs[0]], difference(right, left) if turned else difference(left, right))


def _parts(text: str) -> Parts | None:
    """The parts of a list, None where there is only one. Brackets around everything are taken off first."""
    unnamed = _POINT_NAME.sub("", text)
    bracket, inner = unbracketed(unnamed)
    sides = [side for piece in split(_AND.sub(",", inner), ",;") if (side := piece.strip())]
    if len(sides) < 2:
        return None
    if len(sides) > MAX_PARTS:
        raise ParseError(f"more than {MAX_PARTS} parts")
    return Parts(tuple(_part(side) for side in sides), bracket)


def _part(text: str) -> Reading:
    if found := _SEVERAL.search(text):
        raise SeveralError(f"{found[0].strip()!r} is no single value")
    nested = _parts(text) if text[:1] in OPEN else None
    return nested or read_chain(text)


def is_range(truth: str) -> bool:
    """`0-5` and `42.2%-62.6%` among a data set's choices are ranges, no differences to compute."""
    return _RANGE.fullmatch(truth.strip()) is not None
