"""Decide whether the final answer of a response is right, without timeouts, signals, global state or `eval`.

extract -> (choice letter?) -> parse -> compare; docs/verifier.md states the rules of the policy with reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from vlm_uec.verifier.extract import extract
from vlm_uec.verifier.judge import judge
from vlm_uec.verifier.normalise import MAX_TEXT

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
    response: str, answer: str, *, choices: Sequence[str] | None = None, precision: int | None = None
) -> Verdict:
    """Judge `response` against the truth `answer`.

    `choices`: in the order in which the prompt lists them; omit them if the prompt lists none, because they
    make a guessed letter count. `precision`: number of decimals that the truth was rounded to.
    Never raises on any text. The time is linear in the length of the response and bounded in the answer.
    """
    extraction = extract(response)
    if extraction is None:
        reason = "no closed \\boxed{}, no <answer> and no plain statement after the thinking"
        return Verdict(False, None, reason, "no_answer", "1")
    if not extraction.text:
        return Verdict(False, "", f"the {extraction.marker} is empty", "no_answer", "1")
    if len(extraction.text) > MAX_TEXT or len(answer) > MAX_TEXT:
        return Verdict(
            False, extraction.text[:MAX_TEXT], f"longer than {MAX_TEXT} characters", "unparsable", "2"
        )
    judgement = judge(extraction.text, answer, tuple(choices or ()), precision)
    failure_kind: VerdictKind = "wrong" if judgement.parsable else "unparsable"
    kind: VerdictKind = "right" if judgement.correct else failure_kind
    return Verdict(judgement.correct, extraction.text, judgement.reason, kind, judgement.rule)
