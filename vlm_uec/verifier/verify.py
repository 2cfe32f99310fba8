"""Whether a response's final answer is right. Pure: no clock, no signal, no global state, no evaluation.

extract -> (letter of a choice?) -> read -> compare; docs/verifier.md has the policy's rules with reasons.
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
    """`extracted`: the final answer as written, None where the response marks none. `kind`: for counting.
    `rule`: the number of the policy's rule that decided, or a span of them.
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

    `choices`: as the prompt listed them, in order; leave them out where it did not,
    or a guessed letter earns.
    `precision`: decimals that the truth was rounded to. Never raises on any text; time is linear in the
    response and bounded in the answer.
    """
    found = extract(response)
    if found is None:
        reason = "no closed \\boxed{}, no <answer> and no plain statement after the thinking"
        return Verdict(False, None, reason, "no_answer", "1")
    if not found.text:
        return Verdict(False, "", f"the {found.mark} is empty", "no_answer", "1")
    if len(found.text) > MAX_TEXT or len(answer) > MAX_TEXT:
        return Verdict(False, found.text[:MAX_TEXT], f"longer than {MAX_TEXT} characters", "unparsable", "2")
    judgement = judge(found.text, answer, tuple(choices or ()), precision)
    wrong: VerdictKind = "wrong" if judgement.readable else "unparsable"
    kind: VerdictKind = "right" if judgement.correct else wrong
    return Verdict(judgement.correct, found.text, judgement.reason, kind, judgement.rule)
