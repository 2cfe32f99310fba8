"""Boxes inside the thinking, and statements without a box, as settings."""

from __future__ import annotations

import pytest

from vlm_uec.verifier import Strictness, verify

STRICT, ACCEPT = Strictness(), Strictness(thinking="accept")
BOXED = Strictness(statements="boxed_only")
BOTH = Strictness("accept", "boxed_only")

# response: whether it is right for 15 by default, with the thinking accepted, with boxes only, with both
VERDICTS = {
    r"<think>\boxed{15}</think>": (False, True, False, True),
    r"<think>\boxed{15}</think> Done.": (False, True, False, True),
    r"<think>\boxed{15}</think> \boxed{16}": (False, False, False, False),
    r"<think>\boxed{16}</think> \boxed{15}": (True, True, True, True),
    r"<think>\boxed{16} or \boxed{15}</think>": (False, True, False, True),
    r"<think>\boxed{15} or \boxed{16}</think>": (False, False, False, False),
    r"<think>\boxed{16}</think> The answer is 15.": (True, True, False, False),
    r"<think>\boxed{15}</think> The answer is 16.": (False, False, False, True),
    r"<think>\boxed{16}</think> <answer>15</answer>": (True, True, False, False),
    r"<think>\boxed{15}</think> \boxed{16": (False, False, False, False),
    r"<think>\boxed{15}</think> \boxed{}": (False, False, False, False),
    r"<think>\boxed{15} <answer>16</answer></think>": (False, True, False, True),
    r"<think><answer>15</answer></think>": (False, False, False, False),
    r"<think>The answer is 15.</think>": (False, False, False, False),
    "The answer is 15.": (True, True, False, False),
    "<answer>15</answer>": (True, True, False, False),
    r"<answer>\boxed{15}</answer>": (True, True, True, True),
    r"\boxed{15} The answer is 16.": (True, True, True, True),
    r"\boxed{\text{The area is } 15}": (True, True, True, True),
    r"<think>\boxed{15}": (True, True, True, True),
    "15": (True, True, False, False),
    "": (False, False, False, False),
}  # fmt: skip


@pytest.mark.parametrize("response", VERDICTS)
def test_each_setting_decides_where_an_answer_may_be(response: str) -> None:
    settings = (STRICT, ACCEPT, BOXED, BOTH)
    found = tuple(verify(response, "15", strictness=strictness).correct for strictness in settings)
    assert found == VERDICTS[response]


def test_the_default_is_the_documented_policy() -> None:
    assert Strictness() == Strictness("ignore", "accept")
    assert verify("15", "15") == verify("15", "15", strictness=Strictness())


def test_a_missing_answer_names_the_accepted_places() -> None:
    response = "<think>I have no idea.</think> Sorry, none."
    reasons = {
        STRICT: "no closed \\boxed{}, no <answer> and no plain statement after the thinking",
        ACCEPT: "no closed \\boxed{}, no <answer> and no plain statement",
        BOXED: "no closed \\boxed{} after the thinking",
        BOTH: "no closed \\boxed{}",
    }
    for strictness, reason in reasons.items():
        assert verify(response, "15", strictness=strictness).reason == reason
