"""The scorers of an evaluation: each looks at a response and a problem, and none at another's verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from eval.mathvista import official_score
from eval.samples import OFFICIAL, REWARD, VERIFY, Score
from vlm_uec.io.digest import file_sha256
from vlm_uec.rewards import RewardFunction, check_reward_function, judge, load_reward_function, verdict_on
from vlm_uec.types import Problem

Scorer = Callable[[str, Problem], Score]
Shown = Callable[[Problem], str]  # the prompt's text, which may list choices that the question does not


def scorers_for(problems: Iterable[Problem], shown: Shown | None, reward: str | None) -> Mapping[str, Scorer]:
    """`verify` always, MathVista's `official` where all problems are its own, a plug-in's `reward` if given.

    The first is the one that summaries go by. Raises UserError where the plug-in does not work.
    """
    problems = list(problems)
    scorers: dict[str, Scorer] = {VERIFY: _verifier(shown)}
    if all(problem.source == "mathvista" for problem in problems):
        scorers[OFFICIAL] = lambda response, problem: official_score(problem, response)
    if reward is not None:
        function = load_reward_function(reward)
        check_reward_function(function, problems[0])
        scorers[REWARD] = _plug_in(function)
    return scorers


def reward_fingerprint(reward: str | None) -> str | None:
    """Which function `scorers_for` was given: its name and the SHA-256 of its file, wherever that lies."""
    if reward is None or reward == "accuracy":
        return reward
    file, _, name = reward.rpartition(":")
    return f"{name} of {file_sha256(Path(file))}"


def score(scorers: Mapping[str, Scorer], response: str, problem: Problem) -> dict[str, Score]:
    return {name: scorer(response, problem) for name, scorer in scorers.items()}


def _verifier(shown: Shown | None) -> Scorer:
    def scored(response: str, problem: Problem) -> Score:
        verdict = verdict_on(response, problem, shown)
        return Score(verdict.correct, verdict.extracted, verdict.reason, verdict.rule)

    return scored


def _plug_in(function: RewardFunction) -> Scorer:
    def scored(response: str, problem: Problem) -> Score:
        reward = judge(response, problem, function, 0.0)
        # It gives no answer to vote with.
        return Score(reward.accuracy == 1.0, None, f"gave {reward.accuracy:g}", "")

    return scored
