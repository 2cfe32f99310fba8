"""Decide whether the final answer of a response is right, without timeouts, signals, global state or `eval`.

extract -> (choice letter?) -> parse -> compare; docs/verifier.md states the rules of the policy with reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from vlm_uec.verifier.arguments import decimals_of, text_of, texts_of
from vlm_uec.verifier.extract import Extraction, extract
from vlm_uec.verifier.judge import judge_statement
from vlm_uec.verifier.normalise import MAX_TEXT
from vlm_uec.verifier.strictness import DEFAULT, Strictness

__all__ = ["VERDICT_KINDS", "Verdict", "verify"]

VerdictKind = Literal["right", "wrong", "unparsable", "no_answer"]
VERDICT_KINDS: tuple[VerdictKind, ...] = get_args(VerdictKind)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`extracted`: the final answer as written, None if the response has none. `kind`: category for counts.
    `rule`: number of the policy's rule that decided, or a range of numbers.
    """

    correct: bool
    extracted: str | None
    reason: str
    kind: VerdictKind
    rule: str


def verify(
    response: Any,
    answer: Any,
    *,
    choices: Any = None,
    precision: Any = None,
    strictness: Strictness = DEFAULT,
) -> Verdict:
    """Judge the text `response` against the truth `answer`, which is text or a number.

    `choices`: in the order in which the prompt lists them; omit them if the prompt lists none, because they
    make a guessed letter count. `precision`: number of decimals that the truth was rounded to. `strictness`:
    which places of the response may hold its answer.

    Never raises on any response, answer or choices; one that is neither text nor a number is wrong. Raises
    InvalidArgument if `precision` is neither a whole number, such as 1 or 1.0, nor None.
    The time is linear in the length of the response and bounded in the answer.
    """
    decimals, text, truth = decimals_of(precision), text_of(response), text_of(answer)
    if text is None:
        return Verdict(False, None, f"the response is {_type(response)}, not text", "no_answer", "1")
    extraction = extract(text, strictness)
    if extraction is None:
        return Verdict(False, None, _missing(strictness), "no_answer", "1")
    if not extraction.text:
        return Verdict(False, "", f"the {extraction.marker} is empty", "no_answer", "1")
    if truth is None:
        reason = f"the truth is {_type(answer)}, neither text nor a number"
        return Verdict(False, extraction.text[:MAX_TEXT], reason, "wrong", "8")
    return _compared(extraction, truth, texts_of(choices), decimals)


def _compared(extraction: Extraction, truth: str, choices: tuple[str, ...], precision: int | None) -> Verdict:
    if len(extraction.text) > MAX_TEXT or len(truth) > MAX_TEXT:
        return Verdict(
            False, extraction.text[:MAX_TEXT], f"longer than {MAX_TEXT} characters", "unparsable", "2"
        )
    judgement = judge_statement((extraction.text, *extraction.others), truth, choices, precision)
    failure_kind: VerdictKind = "wrong" if judgement.parsable else "unparsable"
    kind: VerdictKind = "right" if judgement.correct else failure_kind
    return Verdict(judgement.correct, extraction.text, judgement.reason, kind, judgement.rule)


def _missing(strictness: Strictness) -> str:
    where = "" if strictness.thinking == "accept" else " after the thinking"
    if strictness.statements == "boxed_only":
        return f"no closed \\boxed{{}}{where}"
    return f"no closed \\boxed{{}}, no <answer> and no plain statement{where}"


def _type(value: object) -> str:
    """`None` or the type's name: a value of any type may have no text."""
    return "None" if value is None else f"of type {type(value).__name__}"
