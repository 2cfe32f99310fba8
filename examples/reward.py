"""A reward function: the verifier's verdict, minus a small penalty for long responses.

python train.py --config examples/own_data.yaml reward.function=examples/reward.py:reward
"""

from __future__ import annotations

from vlm_uec.types import Problem
from vlm_uec.verifier import verify

FREE_CHARACTERS = 400
PENALTY = 0.2  # of the reward of a correct answer, at twice the free length or more


def reward(response: str, problem: Problem) -> float:
    """From 0 (wrong) to 1 (correct, and at most `FREE_CHARACTERS` long).

    A wrong answer gets exactly 0, for any length: a prompt is difficult, and is explored, only if all of
    its rewards are 0.
    """
    verdict = verify(response, problem.answer, choices=problem.choices, precision=problem.precision)
    if not verdict.correct:
        return 0.0
    excess = (len(response) - FREE_CHARACTERS) / FREE_CHARACTERS
    return 1.0 - PENALTY * min(max(excess, 0.0), 1.0)
