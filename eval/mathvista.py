"""MathVista's official scorer (Lu et al. 2024, arXiv 2310.02255), used for published accuracies.

The extracted answer is converted to the form of the truth and must then be equal to it as a string. Only the
extraction rules without a language model are implemented. If the official scorer would call GPT-4, this one
uses the verifier's extraction; official extraction files can be scored unchanged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from eval.samples import Score
from vlm_uec.escape import escape
from vlm_uec.types import Problem
from vlm_uec.verifier.extract import extract

MAX_COMPARED = 2000  # characters of an extraction or choice that enter the edit distance

_LETTER = re.compile(r"\(([a-zA-Z])\)")
_QUOTE, _UNQUOTE = 'The answer is "', '".'


@dataclass(frozen=True)
class _Prediction:
    """An extraction in the form of the truth (None if it has none), and how it was converted."""

    text: str | None
    rule: str
    description: str


def official_score(problem: Problem, response: str, extraction: str | None = None) -> Score:
    """The official verdict on a response. `extraction`: replaces our own extraction.

    Never raises on any text; the time is linear in its length. An empty extraction for a multiple-choice
    problem is wrong, as with the official `--ignore_empty_extractions`; without this option the official
    scorer selects the shortest choice.
    """
    answer = quick_extraction(problem, response) if extraction is None else extraction
    prediction = _predict(answer, problem)
    correct = prediction.text == problem.answer
    verdict = "" if prediction.text is None else f", {'' if correct else 'not '}the truth"
    return Score(correct, answer or None, prediction.description + verdict, prediction.rule)


def normalise(extraction: str, problem: Problem) -> str | None:
    """The official `prediction`: the extraction in the form of the truth, None if it has none."""
    return _predict(extraction, problem).text


def quick_extraction(problem: Problem, response: str) -> str:
    """The final answer by the official rules without a language model, else by the verifier; "" if none."""
    if problem.question_type == "multi_choice" and response in problem.choices:
        return response
    number = _number_response(response, problem.answer_type)
    if number is not None:
        return number
    quoted = _quoted_answer(response)
    if quoted is not None:
        return quoted
    found = extract(response)
    return "" if found is None else found.text


def _number_response(response: str, answer_type: str) -> str | None:
    """The response as formatted by Python if it is only a number of the truth's type, else None."""
    try:
        if answer_type == "integer":
            return str(int(response))
        return str(float(response)) if answer_type == "float" else None
    except ValueError:  # also raised if an integer exceeds Python's limit of digits
        return None


def _quoted_answer(response: str) -> str | None:
    """The `x` of `The answer is "x".`, within one line. The official greedy pattern takes quadratic time."""
    for line in response.split("\n"):
        _, quote, rest = line.partition(_QUOTE)
        inner, unquote, _ = rest.rpartition(_UNQUOTE)
        if quote and unquote:
            return inner
    return None


def _predict(extraction: str, problem: Problem) -> _Prediction:
    if not extraction.strip():
        return _Prediction(None, "nothing extracted", "nothing extracted")
    if problem.question_type == "multi_choice":
        return _choice(extraction.strip(), problem.choices)
    if problem.answer_type in ("integer", "float"):
        return _number(extraction, problem)
    return _Prediction(extraction, problem.answer_type, "as written")


def _choice(extraction: str, choices: tuple[str, ...]) -> _Prediction:
    """The choice by the first letter in brackets or a bare capital letter, else the most similar choice."""
    if not choices:
        return _Prediction(None, "no choices", "no choices to compare with")
    bracketed = _LETTER.search(extraction)
    named = bracketed[1].upper() if bracketed else extraction
    index = ord(named) - ord("A") if len(named) == 1 else -1
    if 0 <= index < len(choices):
        return _Prediction(choices[index], "letter", f"letter {named}: {_in_quotes(choices[index])}")
    if named in choices:
        return _Prediction(named, "choice text", f"a choice's text: {_in_quotes(named)}")
    nearest = min(choices, key=lambda choice: _distance(named, choice))
    return _Prediction(nearest, "nearest choice", f"nearest choice by edit distance: {_in_quotes(nearest)}")


def _distance(text: str, choice: str) -> int:
    return Levenshtein.distance(text[:MAX_COMPARED], choice[:MAX_COMPARED])


def _number(extraction: str, problem: Problem) -> _Prediction:
    """An integer is truncated towards zero; a float is rounded to the decimals of the truth."""
    try:
        value = float(extraction)
        is_integer = problem.answer_type == "integer"
        text = str(int(value)) if is_integer else str(round(value, problem.precision))
    except (ValueError, OverflowError):
        return _Prediction(None, "not a number", f"not a number: {_in_quotes(extraction)}")
    return _Prediction(
        text, problem.answer_type, f"as {'a whole' if is_integer else 'a rounded'} number: {text}"
    )


def _in_quotes(text: str) -> str:
    return f"'{escape(text)}'"
