"""The scorers of an evaluation: functions of a response and a problem, independent of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from eval.mathvista import official_score
from eval.samples import MATHRULER, OFFICIAL, REWARD, VERIFY, Score
from vlm_uec.io.digest import file_sha256
from vlm_uec.mathruler.client import shared_grader
from vlm_uec.mathruler.install import fingerprint
from vlm_uec.rewards import RewardFunction, check_reward_function, judge, load_reward_function, verdict_on
from vlm_uec.types import Problem
from vlm_uec.verifier import Strictness
from vlm_uec.verifier.strictness import DEFAULT

Scorer = Callable[[str, Problem], Score]
# The text of a problem's prompt; it may list choices that the question does not.
PromptText = Callable[[Problem], str]


def make_scorers(
    problems: Iterable[Problem],
    prompt_text: PromptText | None,
    reward: str | None,
    *,
    mathruler: bool = False,
    strictness: Strictness = DEFAULT,
) -> Mapping[str, Scorer]:
    """`verify` always; `mathruler` and `reward` if requested; `official` if all problems are MathVista's.

    The first scorer is the primary one in summaries. `strictness`: of `verify` and of the reward "accuracy".
    Raises UserError if the plug-in does not work, or if mathruler is not installed.
    """
    problems = list(problems)
    scorers: dict[str, Scorer] = {VERIFY: _verify_scorer(prompt_text, strictness)}
    if mathruler:
        check_reward_function(load_reward_function(MATHRULER), problems[0])
        scorers[MATHRULER] = _mathruler_score
    if all(problem.source == "mathvista" for problem in problems):
        scorers[OFFICIAL] = lambda response, problem: official_score(problem, response)
    if reward is not None:
        function = load_reward_function(reward)
        check_reward_function(function, problems[0])
        scorers[REWARD] = _reward_scorer(function, strictness)
    return scorers


def scorer_fingerprints(reward: str | None, mathruler: bool) -> dict[str, str | None]:
    """The settings that identify the optional scorers; scores are comparable only if these are equal."""
    return {
        "reward_fingerprint": _reward_fingerprint(reward),
        "mathruler_fingerprint": fingerprint() if mathruler else None,
    }


def _reward_fingerprint(reward: str | None) -> str | None:
    """The reward function's name and the SHA-256 of its file, independent of the path."""
    if reward is None or reward == "accuracy":
        return reward
    if reward == "mathruler":
        return fingerprint()
    file, _, name = reward.rpartition(":")
    return f"{name} of {file_sha256(Path(file))}"


def score_response(scorers: Mapping[str, Scorer], response: str, problem: Problem) -> dict[str, Score]:
    return {name: scorer(response, problem) for name, scorer in scorers.items()}


def _verify_scorer(prompt_text: PromptText | None, strictness: Strictness) -> Scorer:
    def scorer(response: str, problem: Problem) -> Score:
        verdict = verdict_on(response, problem, prompt_text, strictness)
        return Score(verdict.correct, verdict.extracted, verdict.reason, verdict.rule)

    return scorer


def _mathruler_score(response: str, problem: Problem) -> Score:
    grade = shared_grader().grade(response, problem.answer)
    return Score(grade.correct, grade.extracted, grade.reason, "")


def _reward_scorer(function: RewardFunction, strictness: Strictness) -> Scorer:
    def scorer(response: str, problem: Problem) -> Score:
        reward = judge(response, problem, function, 0.0, strictness=strictness)
        # A reward extracts no answer, so it has no votes.
        return Score(reward.accuracy == 1.0, None, f"gave {reward.accuracy:g}", "")

    return scorer
