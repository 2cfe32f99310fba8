"""One extracted answer against the truth: by letter, as written, or by value."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

from vlm_uec.verifier.arithmetic import ParseError, SeveralError
from vlm_uec.verifier.choices import MAX_CHOICES, Pick, is_choice_text, read_letter, truth_index
from vlm_uec.verifier.compare import Judgement, compare, compare_quantities
from vlm_uec.verifier.normalise import MAX_TEXT, as_text, known_text, normalise
from vlm_uec.verifier.read import is_range, read, read_as_parts, read_plain
from vlm_uec.verifier.readings import Parts, Quantity, Reading
from vlm_uec.verifier.statement import sole_statement
from vlm_uec.verifier.words import are_labels, same_words


def judge(text: str, answer: str, choices: tuple[str, ...], precision: int | None) -> Judgement:
    """`text` is not empty, and both texts are within MAX_TEXT characters."""
    if not choices:
        return _judge_without_choices(text, answer, precision)
    place = truth_index(answer, choices)
    truth = answer if place is None else choices[place]
    rivals = tuple(
        choice for choice in choices if choice != truth and known_text(choice) != known_text(truth)
    )
    pick = None if read_plain(text) else read_letter(text) or _stated_letter(text)
    if pick is None:
        return _judge_content(text, truth, precision, rivals)
    by_letter = _judge_letter(pick, place, choices)
    if not is_choice_text(text, choices):
        return by_letter
    # Choices such as "B", "A" or "k": a capital may mean the letter or the text, so both must be right.
    by_text = _judge_content(text, truth, precision, rivals)
    return by_letter if text.isupper() and not pick.rest and not by_letter.correct else by_text


def _stated_letter(text: str) -> Pick | None:
    statement = sole_statement(text)
    return read_letter(statement) if statement else None


def _judge_without_choices(text: str, answer: str, precision: int | None) -> Judgement:
    pick = None if read_plain(text) else read_letter(text)
    if pick is None or as_text(text) == known_text(answer):
        return _judge_content(text, answer, precision, ())
    wanted = read_letter(answer)
    if wanted is not None and not wanted.rest and not answer.islower():
        correct = wanted.place == pick.place and (not pick.rest or _is_readable(pick.rest))
        return Judgement(correct, f"{'' if correct else 'not '}the truth's letter", "7")
    if not pick.rest:
        return Judgement(False, "a letter, and no choices were listed", "7")
    return _judge_content(text, answer, precision, ())


def _is_readable(text: str) -> bool:
    try:
        return not isinstance(read(text), Parts)
    except ParseError:
        return False


def _judge_letter(pick: Pick, place: int | None, choices: tuple[str, ...]) -> Judgement:
    letter = chr(ord("A") + pick.place)
    if pick.place >= len(choices):
        return Judgement(False, f"there is no choice {letter}", "7")
    named = choices[pick.place]
    rivals = tuple(choice for choice in choices if known_text(choice) != known_text(named))
    if pick.rest and not _judge_content(pick.rest, named, None, rivals).correct:
        return Judgement(False, f"its text is not that of choice {letter}", "7")
    correct = place is not None and known_text(named) == known_text(choices[place])
    return Judgement(correct, f"choice {letter} is {'' if correct else 'not '}the truth", "7")


def _judge_content(text: str, truth: str, precision: int | None, rivals: tuple[str, ...]) -> Judgement:
    given, wanted = read_plain(text), _read_truth(truth)
    if given is not None and isinstance(wanted, Quantity):
        return compare_quantities(given, wanted, precision, _values(rivals))
    if given is None and as_text(text) == known_text(truth) != "":
        return Judgement(True, "the truth as written", "3 to 8")
    if wanted is None:
        return _judge_words(text, truth)
    try:
        return _judge_reading(text, wanted, precision, _values(rivals))
    except SeveralError as error:
        return Judgement(False, f"no single answer: {error}", "2")
    except ParseError as error:
        return Judgement(False, f"not readable: {error}", "2", readable=False)


def _judge_words(text: str, truth: str) -> Judgement:
    statement = None if same_words(text, truth) else sole_statement(text)
    correct = same_words(text if statement is None else statement, truth)
    return Judgement(correct, f"{'' if correct else 'not '}the words of the truth", "7")


def _judge_reading(text: str, wanted: Reading, precision: int | None, rivals: Sequence[Decimal]) -> Judgement:
    try:
        judgement = compare(read(text), wanted, precision, rivals)
    except SeveralError:
        raise
    except ParseError:
        statement = sole_statement(text)
        if statement is None:
            raise
        return compare(read(statement), wanted, precision, rivals)
    if judgement.correct or not isinstance(wanted, Parts):
        return judgement
    # 3,675 was one number so far; against a truth of two parts it may be two.
    return compare(read_as_parts(normalise(text)), wanted, precision)


@lru_cache(maxsize=4096)
def _read_truth(truth: str) -> Reading | None:
    """None for words, labels and ranges, which are compared as text only."""
    if len(truth) > MAX_TEXT or (are_labels(truth) and truth.strip()[:1] not in "([{") or is_range(truth):
        return None
    try:
        return read(truth)
    except ParseError:
        return None


def _values(texts: tuple[str, ...]) -> list[Decimal]:
    readings = (_read_truth(text) for text in texts[:MAX_CHOICES])
    return [reading.value for reading in readings if isinstance(reading, Quantity)]
