"""Compare an extracted answer with the truth by choice letter, as text, or by value."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

from vlm_uec.verifier.answer_parser import is_range, parse_answer, parse_as_parts, parse_plain_number
from vlm_uec.verifier.answer_types import ParsedAnswer, Parts, Quantity
from vlm_uec.verifier.arithmetic import AmbiguousAnswerError, ParseError
from vlm_uec.verifier.choices import (
    MAX_CHOICES,
    ChoiceLetter,
    equals_choice_text,
    find_choice,
    parse_choice_letter,
)
from vlm_uec.verifier.compare import Judgement, compare, compare_quantities
from vlm_uec.verifier.normalise import MAX_TEXT, as_text, cached_as_text, normalise
from vlm_uec.verifier.statement import embedded_statement
from vlm_uec.verifier.text_answers import are_labels, words_match

MAX_QUOTED = 60  # characters of a value in a reason


def judge_statement(
    values: tuple[str, ...], answer: str, choices: tuple[str, ...], precision: int | None
) -> Judgement:
    """Judge the stated value, which comes first; all other asserted values must be right as well."""
    judgement = judge(values[0], answer, choices, precision)
    for value in values[1:] if judgement.correct else ():
        if not judge(value, answer, choices, precision).correct:
            return Judgement(False, f"the text also asserts {value[:MAX_QUOTED]!r}", "1")
    return judgement


def judge(text: str, answer: str, choices: tuple[str, ...], precision: int | None) -> Judgement:
    """Requires a nonempty `text`, and at most MAX_TEXT characters in both texts."""
    judgement = _judge_value_or_letter(text, answer, choices, precision)
    if judgement.correct or parse_plain_number(text):
        return judgement
    values = embedded_statement(text)
    if values is None or any(len(value) >= len(text) for value in values):
        return judgement
    return judge_statement(values, answer, choices, precision)


def _judge_value_or_letter(
    text: str, answer: str, choices: tuple[str, ...], precision: int | None
) -> Judgement:
    if not choices:
        return _judge_without_choices(text, answer, precision)
    true_index = find_choice(answer, choices)
    truth = answer if true_index is None else choices[true_index]
    distractors = tuple(
        choice for choice in choices if choice != truth and cached_as_text(choice) != cached_as_text(truth)
    )
    choice_letter = None if parse_plain_number(text) else parse_choice_letter(text)
    if choice_letter is None:
        return _judge_content(text, truth, precision, distractors)
    by_letter = _judge_letter(choice_letter, true_index, choices)
    if not equals_choice_text(text, choices):
        return by_letter
    # With choices such as "B", "A" or "k", a capital may be the letter or the text, so both must be right.
    by_text = _judge_content(text, truth, precision, distractors)
    return by_letter if text.isupper() and not choice_letter.content and not by_letter.correct else by_text


def _judge_without_choices(text: str, answer: str, precision: int | None) -> Judgement:
    choice_letter = None if parse_plain_number(text) else parse_choice_letter(text)
    if choice_letter is None or as_text(text) == cached_as_text(answer):
        return _judge_content(text, answer, precision, ())
    expected = parse_choice_letter(answer)
    if expected is not None and not expected.content and not answer.islower():
        correct = expected.choice_index == choice_letter.choice_index and (
            not choice_letter.content or _is_parsable(choice_letter.content)
        )
        return Judgement(correct, f"{'' if correct else 'not '}the letter of the truth", "7")
    if not choice_letter.content:
        return Judgement(False, "a letter, and no choices were listed", "7")
    return _judge_content(text, answer, precision, ())


def _is_parsable(text: str) -> bool:
    try:
        return not isinstance(parse_answer(text), Parts)
    except ParseError:
        return False


def _judge_letter(choice_letter: ChoiceLetter, true_index: int | None, choices: tuple[str, ...]) -> Judgement:
    letter = chr(ord("A") + choice_letter.choice_index)
    if choice_letter.choice_index >= len(choices):
        return Judgement(False, f"there is no choice {letter}", "7")
    letter_choice = choices[choice_letter.choice_index]
    distractors = tuple(
        choice for choice in choices if cached_as_text(choice) != cached_as_text(letter_choice)
    )
    if (
        choice_letter.content
        and not _judge_content(choice_letter.content, letter_choice, None, distractors).correct
    ):
        return Judgement(False, f"its text differs from choice {letter}", "7")
    correct = true_index is not None and cached_as_text(letter_choice) == cached_as_text(choices[true_index])
    return Judgement(correct, f"choice {letter} is {'' if correct else 'not '}the truth", "7")


def _judge_content(text: str, truth: str, precision: int | None, distractors: tuple[str, ...]) -> Judgement:
    actual, expected = parse_plain_number(text), _parse_truth(truth)
    if actual is not None and isinstance(expected, Quantity):
        return compare_quantities(actual, expected, precision, _values(distractors))
    if actual is None and as_text(text) == cached_as_text(truth) != "":
        return Judgement(True, "equal to the truth as text", "3 to 8")
    if expected is None:
        return _judge_words(text, truth)
    try:
        return _judge_value(text, expected, precision, _values(distractors))
    except AmbiguousAnswerError as error:
        return Judgement(False, f"no single answer: {error}", "2")
    except ParseError as error:
        return Judgement(False, f"not parsable: {error}", "2", parsable=False)


def _judge_words(text: str, truth: str) -> Judgement:
    correct = words_match(text, truth)
    return Judgement(correct, f"{'' if correct else 'not '}the same words as the truth", "7")


def _judge_value(
    text: str, expected: ParsedAnswer, precision: int | None, distractors: Sequence[Decimal]
) -> Judgement:
    judgement = compare(parse_answer(text), expected, precision, distractors)
    if judgement.correct or not isinstance(expected, Parts):
        return judgement
    # 3,675 was parsed as one number. If the truth has two parts, it may be two numbers.
    return compare(parse_as_parts(normalise(text)), expected, precision)


@lru_cache(maxsize=4096)
def _parse_truth(truth: str) -> ParsedAnswer | None:
    """The parsed truth; None for words, labels and ranges, which are compared only as text."""
    if len(truth) > MAX_TEXT or (are_labels(truth) and truth.strip()[:1] not in "([{") or is_range(truth):
        return None
    try:
        return parse_answer(truth)
    except ParseError:
        return None


def _values(texts: tuple[str, ...]) -> list[Decimal]:
    parsed_texts = (_parse_truth(text) for text in texts[:MAX_CHOICES])
    return [parsed.value for parsed in parsed_texts if isinstance(parsed, Quantity)]
