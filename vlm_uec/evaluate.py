"""Sampling and judging held-out problems: what validation and the Pass@k evaluator share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from vlm_uec.data.prompts import PromptSet
from vlm_uec.distributed import gather_lists, rank, world_size
from vlm_uec.rollout.engine import OnProgress, Request, RolloutEngine, Sampling, StreamKey
from vlm_uec.types import Problem, Response, Reward

# Trainer steps count from 1, so evaluation's random numbers are never training's; and every evaluation
# of a seed draws the same ones, which takes noise out of comparisons.
EVALUATION_STEP = 0


@dataclass(frozen=True)
class Sample:
    """One judged response to a held-out problem."""

    problem_id: str
    index: int
    text: str
    reward: Reward
    tokens: int
    truncated: bool


def sample_problems(
    engine: RolloutEngine,
    prompts: PromptSet,
    tokenizer: PreTrainedTokenizerBase,
    judge: Callable[[str, Problem], Reward],
    *,
    problem_ids: Sequence[str],
    n: int,
    sampling: Sampling,
    seed: int,
    on_progress: OnProgress,
) -> list[Sample]:
    """`n` judged samples a problem, on every rank, in order of problem and index."""
    mine = problem_ids[rank() :: world_size()]

    def judged(response: Response) -> Sample:
        text = str(tokenizer.decode(response.tokens, skip_special_tokens=True))
        reward = judge(text, prompts.problems[response.problem_id])
        tokens = len(response.tokens)
        return Sample(response.problem_id, response.index, text, reward, tokens, response.truncated)

    def sampled() -> list[Sample]:
        requests = [Request(prompts.encode(name), n, sampling) for name in mine]
        groups = engine.generate(requests, StreamKey(seed, EVALUATION_STEP), on_progress)
        return [judged(response) for group in groups for response in group.responses]

    place = {problem_id: index for index, problem_id in enumerate(problem_ids)}
    return sorted(gather_lists(sampled), key=lambda sample: (place[sample.problem_id], sample.index))


def correct_counts(samples: Sequence[Sample]) -> dict[str, tuple[int, int]]:
    """For each problem id: how many samples, and how many of them right."""
    counts: dict[str, tuple[int, int]] = {}
    for sample in samples:
        n, correct = counts.get(sample.problem_id, (0, 0))
        counts[sample.problem_id] = (n + 1, correct + (sample.reward.accuracy == 1.0))
    return counts
