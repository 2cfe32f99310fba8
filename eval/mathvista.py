"""MathVista's official scorer (Lu et al. 2024, arXiv 2310.02255): published accuracies were counted with it.

A response's extraction is bent to the form of the truth and must then equal it, letter for letter. Of the
rules that extract, only those without a language model are here. Where the official one asks GPT-4,
this one takes the verifier's extraction; official extraction files can be scored as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from eval.samples import Score
from vlm_uec.escape import escape
from vlm_uec.types import Problem
from vlm_uec.verifier.extract import extract

MAX_COMPARED = 2000  # characters: of a longer extraction or choice, edit distance sees the beginning

_LETTER = re.compile(r"\(([a-zA-Z])\)")
_QUOTE, _UNQUOTE = 'The answer is "', '".'


@dataclass(frozen=True)
class _Prediction:
    """An extraction in the truth's form, None where it has none; the rule that made it, and how in words."""

    text: str | None
    rule: str
    how: str


def official_score(problem: Problem, response: str, extraction: str | None = None) -> Score:
    """The official verdict on a response. `extraction`: taken as it is in place of our own.

    Never raises on any text; time is linear in it. An empty extraction of a multiple choice is wrong, as with
    the official `--ignore_empty_extractions`; without that, the shortest choice is taken for it.
    """
    given = quick_extraction(problem, response) if extraction is None else extraction
    prediction = _predict(given, problem)
    correct = prediction.text == problem.answer
    verdict = "" if prediction.text is None else f", {'' if correct else 'not '}the truth"
    return Score(correct, given or None, prediction.how + verdict, prediction.rule)


def normalise(extraction: str, problem: Problem) -> str | None:
    """The official `prediction`: the extraction in the truth's form, None where it has none."""
    return _predict(extraction, problem).text


def quick_extraction(problem: Problem, response: str) -> str:
    """The final answer by the official rules that ask no model, else by the verifier's; "" without one."""
    if problem.question_type == "multi_choice" and response in problem.choices:
        return response
    number = _whole_response(response, problem.answer_type)
    if number is not None:
        return number
    quoted = _quoted(response)
    if quoted is not None:
        return quoted
    found = extract(response)
    return "" if found is None else found.text


def _whole_response(response: str, answer_type: str) -> str | None:
    """A response that is nothing but a number of the truth's type, as Python writes it."""
    try:
        if answer_type == "integer":
            return str(int(response))
        return str(float(response)) if answer_type == "float" else None
    except ValueError:  # also where a whole number has more digits than Python's limit
        return None


def _quoted(response: str) -> str | None:
    """The `x` of `The answer is "x".`, within one line. Official: a greedy pattern, of quadratic time."""
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
    """By the first letter in brackets, wherever it stands, by a bare capital, or the most similar choice."""
    if not choices:
        return _Prediction(None, "no choices", "no choices to compare with")
    bracketed = _LETTER.search(extraction)
    named = bracketed[1].upper() if bracketed else extraction
    place = ord(named) - ord("A") if len(named) == 1 else -1
    if 0 <= place < len(choices):
        return _Prediction(choices[place], "letter", f"letter {named}: {_shown(choices[place])}")
    if named in choices:
        return _Prediction(named, "choice text", f"a choice's text: {_shown(named)}")
    nearest = min(choices, key=lambda choice: _distance(named, choice))
    return _Prediction(nearest, "nearest choice", f"nearest choice by edit distance: {_shown(nearest)}")


def _distance(text: str, choice: str) -> int:
    return Levenshtein.distance(text[:MAX_COMPARED], choice[:MAX_COMPARED])


def _number(extraction: str, problem: Problem) -> _Prediction:
    """A whole number is cut off, towards zero, not rounded; a float is rounded to the truth's decimals."""
    try:
        value = float(extraction)
        whole = problem.answer_type == "integer"
        text = str(int(value)) if whole else str(round(value, problem.precision))
    except (ValueError, OverflowError):
        return _Prediction(None, "not a number", f"not a number: {_shown(extraction)}")
    return _Prediction(text, problem.answer_type, f"as {'a whole' if whole else 'a rounded'} number: {text}")


def _shown(text: str) -> str:
    return f"'{escape(text)}'"
