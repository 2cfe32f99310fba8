"""Find the plain statement of an unmarked answer: "The answer is 15.", "答案是 15。" (rules 1 and 8).

A statement counts if it is the last assertion of a value, unhedged and uncontradicted. Where that cannot be
told, it does not count, because a misinterpretation would reward guesses. So the texts around it are read as
well: behind it only reasons, repetitions and courtesies may follow, and no doubt, condition or list may
precede it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_uec.verifier.assertion import claimed_variables, is_bare_value, is_letter, read_assertion
from vlm_uec.verifier.core_assertion import Assertion, is_number
from vlm_uec.verifier.doubt import casts_doubt, is_uncertain
from vlm_uec.verifier.reasons import is_reason
from vlm_uec.verifier.sentences import split_sentences

MAX_BEHIND = 20  # sentences behind a statement that are read
DOUBT_WINDOW = 3  # sentences before a statement in which a doubt counts
LIST_WINDOW = 6  # sentences before a statement in which a bare list of values counts

_ANSWER_WORD = re.compile(r"answer|\bans\b|result|solution|option|choice|correct|choose|select|答案|结果|选")
_CONCLUDES = re.compile(r"^(?:so|therefore|thus|hence|∴|所以|因此|故)", re.IGNORECASE)
_REFERS = re.compile(r"(?:this|that|it)\b", re.IGNORECASE)
_CHOICE_LINE = re.compile(
    r"(?:[(（]\s?[A-H]\s?[)）]|[A-H]\s?[.:)）．、：])\s*\S.{0,80}|[(（]?\s?[A-H]\s?[)）]?[.．]?"
)
_BARE_VALUES = re.compile(
    r"[-+(]?[0-9][^A-Za-z=∠|\u4e00-\u9fff]*"
    r"|[^\W\d]{1,20}\s?[:：]\s*[-+(]?[0-9.]+(?:[,，、]\s*[0-9.]+(?![0-9,])){1,20}[.。]?"
)
_CLAIM = re.compile(r"(?:answer is|答案是) ?:? ?\$?(-?[0-9]+(?:\.[0-9]+)?)", re.IGNORECASE)
_LABEL = re.compile(r"^[^:：]{0,40}[:：]\s*")
_MARKS = " .。．!！*_\n"
_VALUE_LIKE = re.compile(r"[0-9]|^[(（]?[A-H][)）]?$")


def plain_statement(conclusion: str) -> tuple[str, ...] | None:
    """The values that a conclusion states, the answer first; all must be right. None if it states none."""
    return _state(split_sentences(conclusion))


def embedded_statement(text: str) -> tuple[str, ...] | None:
    """The values stated by sentences inside a box or tag: `The area is 12`, `答案是15`."""
    if "</" in text or "<|" in text or (text.isascii() and text.isalnum()):
        return None
    return _state(split_sentences(text, has_items=False), is_embedded=True)


def _state(sentences: Sequence[str], is_embedded: bool = False) -> tuple[str, ...] | None:
    """Values of the statement at the end of `sentences`, with all values that must be right as well.

    In a box or tag, a bare value is no statement: the text states itself, and that is already judged.
    """
    read = _read_from_the_end(sentences)
    answer = next((index for index, found in read.items() if found.kind == "answer"), None)
    index = max(read, default=None) if answer is None else answer
    if index is None or (answer is None and not _states_alone(sentences, index, read[index])):
        return None
    statement = read[index]
    if _is_doubted(sentences, index) or (is_embedded and statement.value == sentences[index].strip(_MARKS)):
        return None
    behind = [found for position, found in read.items() if position > index]
    before = _answers_before(sentences, index)
    before += _bare_before(sentences[:index] if is_embedded else sentences[max(index - 1, 0) : index])
    before += _same_name_before(sentences[:index], statement)
    if is_letter(statement.value):
        before += _concluded_before(sentences, index)
    return tuple(value for found in (statement, *behind, *before) for value in (found.value, *found.others))


def _read_from_the_end(sentences: Sequence[str]) -> dict[int, Assertion]:
    """Assertions by index, from the last back to that of the answer, as far as every sentence is clear."""
    read: dict[int, Assertion] = {}
    for index in range(len(sentences) - 1, max(len(sentences) - MAX_BEHIND, 0) - 1, -1):
        sentence = sentences[index]
        found = read_assertion(sentence)
        if (
            found is not None
            and found.kind != "bare"
            and (_has_value(found) or not (read or is_reason(sentence)))
        ):
            read[index] = found
            if found.kind == "answer":
                break
        elif is_reason(sentence):
            claims = claimed_variables(sentence)
            if claims:
                read[index] = Assertion(claims[0], "bare", claims[1:])
        elif found is not None and (len(sentences) == 1 or _VALUE_LIKE.search(found.value)):
            read[index] = found
        else:
            break
    return read


def _has_value(found: Assertion) -> bool:
    """Whether an assertion states a number: `angle K is the central angle` does not."""
    return found.kind == "answer" or _VALUE_LIKE.search(found.value) is not None


def _states_alone(sentences: Sequence[str], index: int, found: Assertion) -> bool:
    """Whether an assertion is a statement although no sentence names the answer.

    A bare value is one if it is the whole conclusion, or a choice such as `C. 60°` that does not end a list.
    """
    if found.kind == "named" or len(sentences) == 1:
        return True
    previous = _LABEL.sub("", sentences[index - 1]) if index else ""
    is_choice = _CHOICE_LINE.fullmatch(sentences[index]) is not None
    return is_choice and index == len(sentences) - 1 and _CHOICE_LINE.fullmatch(previous) is None


def _is_doubted(sentences: Sequence[str], index: int) -> bool:
    """Whether a text before the statement makes it uncertain, conditional, another's, or one of several."""
    near = sentences[max(index - DOUBT_WINDOW, 0) : index]
    if any(is_uncertain(sentence) for sentence in near) or any(casts_doubt(text) for text in near[-2:]):
        return True
    return any(_BARE_VALUES.fullmatch(text) for text in sentences[max(index - LIST_WINDOW, 0) : index])


def _answers_before(sentences: Sequence[str], index: int) -> list[Assertion]:
    """Earlier statements of the answer; a different one contradicts the last."""
    answers = []
    for sentence in sentences[:index]:
        if not _ANSWER_WORD.search(sentence.casefold()):
            continue
        found = read_assertion(sentence)
        if found is not None and found.kind == "answer":
            answers.append(found)
        elif claim := _CLAIM.search(sentence):
            answers.append(Assertion(claim[1], "answer"))
    return answers


def _bare_before(sentences: Sequence[str]) -> list[Assertion]:
    """Values without a name: `16. The answer is 15.`"""
    return [Assertion(sentence.strip(_MARKS), "bare") for sentence in sentences if is_bare_value(sentence)]


def _same_name_before(sentences: Sequence[str], statement: Assertion) -> list[Assertion]:
    """`AB = 14` before `AB = 15`: a quantity has one value. A formula is no other value."""
    name = statement.name.casefold()
    asserted = [read_assertion(text) for text in sentences if name and name in text.casefold()]
    return [found for found in asserted if found and found.name == statement.name and is_number(found.value)]


def _concluded_before(sentences: Sequence[str], index: int) -> list[Assertion]:
    """`Therefore the angle is 45°.` before a letter, or the value that `this matches option C` refers to."""
    previous = sentences[index - 1] if index else ""
    is_concluded = _CONCLUDES.match(previous) or _REFERS.match(sentences[index])
    found = read_assertion(previous) if is_concluded else None
    return [found] if found is not None and found.kind == "named" else []
