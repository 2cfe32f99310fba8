"""Whether a response's final answer is right. Pure: no clock, no signal, no global state, no evaluation.

Verdicts of answers that are not values (algebra, lists, words) compare normalised text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vlm_uec.verifier.chain import one_value
from vlm_uec.verifier.choices import Pick, letters_are_texts, read_letter, truth_index
from vlm_uec.verifier.compare import Judgement, compare
from vlm_uec.verifier.extract import extract
from vlm_uec.verifier.normalise import MAX_TEXT, as_text, normalise
from vlm_uec.verifier.parse import Number, ParseError

__all__ = ["Verdict", "verify"]


@dataclass(frozen=True)
class Verdict:
    """`extracted`: the final answer as written, None where the response marks none."""

    correct: bool
    extracted: str | None
    reason: str


def verify(
    response: str, answer: str, *, choices: Sequence[str] | None = None, precision: int | None = None
) -> Verdict:
    """Judge `response` against the truth `answer`.

    `choices`: as the prompt listed them, in order; leave them out where it did not,
    or a guessed letter earns.
    `precision`: decimals that the truth was rounded to. Never raises on any text; time is linear in the
    response and bounded in the answer.
    """
    found = extract(response)
    if found is None:
        return Verdict(False, None, "no closed \\boxed{} and no <answer> after the thinking")
    if not found.text:
        return Verdict(False, "", f"the {found.mark} is empty")
    if len(found.text) > MAX_TEXT or len(answer) > MAX_TEXT:
        return Verdict(False, found.text[:MAX_TEXT], f"longer than {MAX_TEXT} characters")
    judgement = _judge(found.text, answer, tuple(choices or ()), precision)
    return Verdict(judgement.correct, found.text, judgement.reason)


def _judge(text: str, answer: str, choices: tuple[str, ...], precision: int | None) -> Judgement:
    place = truth_index(answer, choices)
    truth = answer if place is None else choices[place]
    rivals = [choice for choice in choices if as_text(choice) != as_text(truth)]
    pick = read_letter(text)
    if choices and pick is not None:
        by_letter = _judge_letter(pick, place, choices)
        both_readings = letters_are_texts(choices) and not pick.rest
        return (
            _judge_content(text, truth, precision, rivals)
            if both_readings and by_letter.correct
            else by_letter
        )
    if pick is not None and not pick.rest:
        correct = read_letter(answer) == pick
        return Judgement(correct, "the truth's letter" if correct else "a letter, and no choices were listed")
    return _judge_content(text, truth, precision, rivals)


def _judge_letter(pick: Pick, place: int | None, choices: tuple[str, ...]) -> Judgement:
    letter = chr(ord("A") + pick.place)
    if pick.place >= len(choices):
        return Judgement(False, f"there is no choice {letter}")
    named = choices[pick.place]
    if pick.rest and not _judge_content(pick.rest, named, None, []).correct:
        return Judgement(False, f"its text is not that of choice {letter}")
    correct = place is not None and as_text(named) == as_text(choices[place])
    return Judgement(correct, f"choice {letter} is {'' if correct else 'not '}the truth")


def _judge_content(text: str, truth: str, precision: int | None, rivals: list[str]) -> Judgement:
    written = as_text(text)
    if written and written == as_text(truth):
        return Judgement(True, "the truth as written")
    try:
        expected = one_value(normalise(truth))
    except ParseError:
        return Judgement(False, "not the truth as written, which is no value")
    try:
        value = one_value(normalise(text))
    except ParseError as error:
        return Judgement(False, f"not one readable value: {error}")
    return compare(value, expected, precision, _values(rivals))


def _values(texts: list[str]) -> list[Number]:
    values = []
    for text in texts[:26]:
        try:
            values.append(one_value(normalise(text[:MAX_TEXT])).value)
        except ParseError:
            continue  # a choice that is words has no value to be near to
    return values
