"""Parse the text of a final answer into a quantity, a formula, a relation, or parts of these.

The name in `x = 12` is stored beside the value; the members of a chain such as `3 sqrt 3 = 5.196` must agree
(rule 2).
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

from vlm_uec.verifier.answer_types import (
    Formula,
    NumberKind,
    ParsedAnswer,
    Parts,
    Quantity,
    Relation,
    to_node,
)
from vlm_uec.verifier.arithmetic import AmbiguousAnswerError, ParseError, almost_equal, rounds_to
from vlm_uec.verifier.brackets import OPEN, split_outside_brackets, strip_brackets
from vlm_uec.verifier.expression_parser import MAX_CHARACTERS, MAX_DIGITS, find_words, parse
from vlm_uec.verifier.normalise import normalise
from vlm_uec.verifier.notes import split_note
from vlm_uec.verifier.quantity_names import are_in_vocabulary, is_name, is_phrase, is_symbol
from vlm_uec.verifier.tree import (
    Constant,
    Node,
    Operation,
    Variable,
    are_identical,
    difference_node,
    evaluate,
    free_variables,
)
from vlm_uec.verifier.units import Unit, split_unit, units_contradict

MAX_MEMBERS = 8
MAX_PARTS = 40

_PLAIN_NUMBER = re.compile(r"([+-]?)([0-9]{1,25})(?:\.([0-9]{1,25}))?", re.ASCII)
_NUMBER_LITERAL = re.compile(r"([+-]?) ?([0-9]*)(?:\.([0-9]*))?")
_GROUPED_THOUSANDS = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9]|,[0-9])")
_CHAIN = re.compile(r"\\approx(?![A-Za-z])|=")
_INEQUALITY = re.compile(r"<=|>=|=<|=>|<|>|\\le(?![A-Za-z])|\\ge(?![A-Za-z])")
_NORMALISED_SIGN = {
    "<": "<", "<=": "<=", "=<": "<=", r"\le": "<=", ">": "<", ">=": "<=", "=>": "<=", r"\ge": "<=",
}  # fmt: skip
_SEVERAL_VALUES = re.compile(
    r"\\(?:pm|mp|ne|range|sim|cong|infty|in|cup|lor|vee|to)(?![A-Za-z])"
    r"|(?:^|[^A-Za-z\\])(?:or|either|between|not)(?![A-Za-z])",
    re.IGNORECASE,
)
_AND = re.compile(r"(?:, ?)?(?<![A-Za-z\\])and(?![A-Za-z])|(?<= )AND(?= )|&|、")
_APPROXIMATELY = re.compile(
    r"^(?:approximately|approx\.?)(?= ?[0-9.\\-])|^about(?= ?-?[0-9]*\.[0-9])|^约为?", re.IGNORECASE
)
_TRIGONOMETRIC = re.compile(r"\\?(?:sin|cos|tan|cot|sec|csc)(?![a-z])(?!\.?$)")
_EQUALS_PHRASE = re.compile(
    r"\s(?:is|are|equals|is equal to|equal to|measures)(?: approximately)?(?=[\s=:])\s?[=:]?"
    r"|是|等于|为"
)
_ANGLE_TERM = re.compile(r"(?:m ?)?\\angle ?(?:[A-Z](?: ?[A-Z]){0,2}|[0-9]{1,2})(?![A-Za-z0-9])")
_RANGE = re.compile(r"[0-9.]{1,12} ?%? ?[-–—~] ?[0-9.]{1,12} ?%?")
_RATIO_WITH_TO = re.compile(r"^([0-9.]{1,12}) to ([0-9.]{1,12})$")
_DEGREES_MINUTES_SECONDS = re.compile(
    r"(-?[0-9]{1,6})° ?([0-9]{1,2}(?:\.[0-9]{1,6})?)'(?: ?([0-9]{1,2}(?:\.[0-9]{1,6})?)'')?"
)
_POINT_NAME = re.compile(
    r"^(?:[A-Z](?: ?=)?|\( ?[A-Z]\w? ?, ?[A-Z]\w? ?\) ?=|(?:answer|point|solution) ?[=:]) ?(?=[(\[]|\\\{)",
    re.IGNORECASE,
)


def parse_plain_number(text: str) -> Quantity | None:
    """Fast path for bare ASCII numbers, which are most answers; None for any other text."""
    match = _PLAIN_NUMBER.fullmatch(text)
    if match is None:
        return None
    return _make_number(match[0], match[2], match[3] or "")


def parse_answer(text: str) -> ParsedAnswer:
    """Parse `text`. Raises ParseError, and its subclass AmbiguousAnswerError if it is not one answer."""
    plain = parse_plain_number(text.strip())
    return plain or parse_normalised(normalise(text))


def parse_normalised(text: str) -> ParsedAnswer:
    if len(text) > MAX_CHARACTERS:
        raise ParseError(f"longer than {MAX_CHARACTERS} characters")
    unnoted, decimals = split_note(text)
    parsed = _parse_unnoted(unnoted)
    if decimals is not None and isinstance(parsed, Quantity) and parsed.decimals > decimals:
        raise AmbiguousAnswerError(f"more decimals than the {decimals} that the answer announces")
    return parsed


def _parse_unnoted(text: str) -> ParsedAnswer:
    ungrouped = _GROUPED_THOUSANDS.sub(lambda match: match[0].replace(",", ""), text)
    parts = _parse_parts(ungrouped)
    if parts is not None:
        return parts
    if found := _SEVERAL_VALUES.search(ungrouped):
        raise AmbiguousAnswerError(f"{found[0].strip()!r} is not a single value")
    if signs := _INEQUALITY.findall(ungrouped):
        return _parse_inequality(ungrouped, signs)
    return parse_chain(ungrouped)


def parse_as_parts(text: str) -> Parts:
    """Parse `text` with every comma as a separator of parts, not of thousands: 3,675 is two numbers."""
    parts = _parse_parts(text)
    if parts is None:
        raise ParseError("the text does not have several parts")
    return parts


def parse_chain(text: str) -> ParsedAnswer:
    """Parse `A = 3 * 4 = 12`, `the area is 12`, `3 sqrt 3 = 5.196`, or a single member."""
    text = _APPROXIMATELY.sub(r"\\approx ", text)
    name_and_value = _EQUALS_PHRASE.split(text, maxsplit=1)
    if len(name_and_value) == 2 and is_name(name_and_value[0]):
        text = f"{name_and_value[0]} = {name_and_value[1]}"
    members = [member.strip() for member in _CHAIN.split(_colon_as_equals(text))]
    if len(members) > MAX_MEMBERS:
        raise ParseError(f"a chain of more than {MAX_MEMBERS} members")
    is_named = len(members) > 1 and not members[0]  # `= 4 + 8 + 4 = 16` behind a name
    members = members[is_named:]
    name = ""
    while len(members) > 1 and is_name(members[0]):
        name = members.pop(0)
    if not name and len(members) == 2 and is_symbol(members[1]):
        name = members.pop()  # 33 = x
    is_named = is_named or bool(name)
    if is_named:
        members = [_ANGLE_TERM.sub(r"\\sigma ", member) for member in members[:-1]] + members[-1:]
    parsed_members = [_parse_member(member) for member in members]
    if len(name) == 1 and any(_has_variable(member, name) for member in parsed_members):
        raise AmbiguousAnswerError(f"an equation of {name}, not its value")  # x = 48x = 49
    parsed = _merge_chain(parsed_members, is_named)
    if isinstance(parsed, Formula) and any(find_words(split_unit(member)[0]) for member in members):
        raise ParseError("it contains words")
    return _with_name(parsed, name)


def _merge_chain(parsed_members: list[Quantity | Formula | Parts], has_name: bool) -> ParsedAnswer:
    if len(parsed_members) == 1:
        return parsed_members[0]
    numbers = [parsed for parsed in parsed_members if isinstance(parsed, Quantity)]
    formulas = [parsed for parsed in parsed_members if isinstance(parsed, Formula)]
    if len(numbers) > 1 and len(formulas) == 1 and _is_sum_of_variables(parsed_members[0]):
        has_name = True  # in `a + b + c = 20 + 31 + 36 = 87`, the sum is what is asked for
    if len(numbers) + len(formulas) < len(parsed_members):
        raise AmbiguousAnswerError("the chain contains a list")
    if formulas and numbers and not has_name:
        return _equation(parsed_members)
    if not numbers:
        return _merge_formulas(formulas) if has_name else _equation(parsed_members)
    most_precise = min(numbers, key=lambda number: (number.kind == "decimal", -number.decimals))
    if not all(_agrees_with(number, most_precise) for number in numbers):
        raise AmbiguousAnswerError("the members of the chain disagree")
    return replace(most_precise, unit=_common_unit(numbers))


def _has_variable(parsed: Quantity | Formula | Parts, name: str) -> bool:
    return isinstance(parsed, Formula) and any(
        variable.casefold() == name.casefold() for variable in free_variables(parsed.node)
    )


def _is_sum_of_variables(parsed: Quantity | Formula | Parts) -> bool:
    """`a + b + c`, with different variables."""
    if not isinstance(parsed, Formula):
        return False
    terms, node = list[Node](), parsed.node
    while isinstance(node, Operation) and node.name == "+":
        node, term = node.arguments
        terms.append(term)
    terms.append(node)
    names = [term.name for term in terms if isinstance(term, Variable)]
    return 1 < len(terms) == len(names) == len(set(names))


def _merge_formulas(formulas: list[Formula]) -> Formula:
    if not all(are_identical(formula.node, formulas[0].node) for formula in formulas):
        raise AmbiguousAnswerError("the members of the chain disagree")
    return formulas[0]


def _equation(parsed_members: list[Quantity | Formula | Parts]) -> Relation:
    if len(parsed_members) != 2:
        raise AmbiguousAnswerError("a chain with variables is not a single value")
    left, right = (to_node(parsed) for parsed in parsed_members)
    return Relation("=", difference_node(left, right))


def _agrees_with(number: Quantity, most_precise: Quantity) -> bool:
    if number.kind == "decimal":
        return rounds_to(most_precise.value, number.value, number.decimals)
    return almost_equal(number.value, most_precise.value)


def _common_unit(numbers: list[Quantity]) -> Unit | None:
    units = [number.unit for number in numbers if number.unit]
    if any(units_contradict(unit, units[0]) for unit in units):
        raise AmbiguousAnswerError("the units of the chain contradict each other")
    return units[0] if units else None


def _with_name(parsed: ParsedAnswer, name: str) -> ParsedAnswer:
    return replace(parsed, name=name) if isinstance(parsed, Quantity | Formula) else parsed


def _colon_as_equals(text: str) -> str:
    name, colon, rest = text.partition(":")
    return f"{name} = {rest}" if colon and is_phrase(name) and len(name.strip()) > 2 else text


def _parse_member(text: str) -> Quantity | Formula | Parts:
    if not text:
        raise ParseError("a member of the chain is empty")
    if ratio := _RATIO_WITH_TO.match(text):
        text = f"{ratio[1]}:{ratio[2]}"
    pieces = split_outside_brackets(text, ":")
    return _parse_value(text) if len(pieces) == 1 else _parse_ratio(pieces)


def _parse_ratio(pieces: list[str]) -> Quantity | Parts:
    values = []
    for piece in pieces:
        value = _parse_value(piece)
        if not isinstance(value, Quantity):
            raise ParseError("a term of the ratio is not a number")
        values.append(value)
    if len(values) > 2:
        return Parts(tuple(values), ":")
    if not values[1].value:
        raise ParseError("the second term of the ratio is zero")
    numerator, denominator = (Constant(value.value) for value in values)
    return Quantity(evaluate(Operation("/", (numerator, denominator)), {}), "ratio")


def _parse_value(text: str) -> Quantity | Formula:
    if minutes := _DEGREES_MINUTES_SECONDS.fullmatch(text.strip()):
        return _parse_degrees_minutes_seconds(minutes)
    body, unit = (text, None) if _TRIGONOMETRIC.search(text) else split_unit(text)
    is_single_letter_unit = unit is not None and len(unit.name) == 1 and unit.name.isalpha()
    node = parse(body)
    names = free_variables(node)
    if names and is_single_letter_unit:
        node, unit = parse(text), None
        names = free_variables(node)
    if names:
        if not are_in_vocabulary(word for word in find_words(body) if len(word) > 3):
            raise ParseError("it contains words")
        return Formula(node, unit)
    literal = _NUMBER_LITERAL.fullmatch(body.strip("(){} "))
    if literal is None or not (literal[2] or literal[3]):
        return Quantity(evaluate(node, {}), "exact", unit=unit)
    return replace(_make_number(literal[0].replace(" ", ""), literal[2], literal[3] or ""), unit=unit)


def _make_number(text: str, integer_digits: str, fraction_digits: str) -> Quantity:
    if len(text) > MAX_DIGITS + 2:
        raise ParseError(f"a number of more than {MAX_DIGITS} digits")
    kind: NumberKind = "decimal" if fraction_digits else "integer"
    return Quantity(
        Decimal(text), kind, len(fraction_digits), len((integer_digits + fraction_digits).lstrip("0"))
    )


def _parse_degrees_minutes_seconds(match: re.Match[str]) -> Quantity:
    minutes, seconds = Decimal(match[2]), Decimal(match[3] or 0)
    if minutes >= 60 or seconds >= 60:
        raise ParseError("60 or more minutes or seconds")
    part = parse(f"{minutes}/60+{seconds}/3600")
    sign = "-" if match[1].startswith("-") else "+"
    value = evaluate(Operation(sign, (Constant(Decimal(match[1])), part)), {})
    return Quantity(value, "exact", unit=Unit("°"))


def _parse_inequality(text: str, signs: list[str]) -> Relation:
    if len(signs) != 1 or "=" in _INEQUALITY.sub("", text):
        raise AmbiguousAnswerError("a range is not a single value")
    left, right = (to_node(_parse_value(piece)) for piece in _INEQUALITY.split(text))
    is_reversed = signs[0][0] == ">" or signs[0] in ("=>", r"\ge")
    return Relation(
        _NORMALISED_SIGN[signs[0]],
        difference_node(right, left) if is_reversed else difference_node(left, right),
    )


def _parse_parts(text: str) -> Parts | None:
    """The parts of a list without its enclosing brackets; None if the text has only one part."""
    unnamed = _POINT_NAME.sub("", text)
    bracket, inner = strip_brackets(unnamed)
    separated = split_outside_brackets(_AND.sub(",", inner), ",;")
    pieces = [stripped for piece in separated if (stripped := piece.strip())]
    if len(pieces) < 2:
        return None
    if len(pieces) > MAX_PARTS:
        raise ParseError(f"more than {MAX_PARTS} parts")
    return Parts(tuple(_parse_part(piece) for piece in pieces), bracket)


def _parse_part(text: str) -> ParsedAnswer:
    if found := _SEVERAL_VALUES.search(text):
        raise AmbiguousAnswerError(f"{found[0].strip()!r} is not a single value")
    nested = _parse_parts(text) if text[:1] in OPEN else None
    return nested or parse_chain(text)


def is_range(truth: str) -> bool:
    """Whether a truth is a range such as `0-5` or `42.2%-62.6%`, which must not be parsed as a difference."""
    return _RANGE.fullmatch(truth.strip()) is not None
