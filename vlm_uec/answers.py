"""Responses to held-out problems: what validation and the Pass@k evaluator share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from vlm_uec.data.prompts import PromptSet
from vlm_uec.rollout.engine import OnProgress, Request, RolloutEngine, RolloutShape, Sampling, StreamKey

# Trainer steps count from 1, so evaluation's random numbers are never training's; and every evaluation
# of a seed draws the same ones, which takes noise out of comparisons.
EVALUATION_STEP = 0


@dataclass(frozen=True)
class Answer:
    """One response to a held-out problem, not yet judged."""

    problem_id: str
    index: int
    text: str
    tokens: int
    truncated: bool  # no end token before the length limit


def sample_answers(
    engine: RolloutEngine,
    prompts: PromptSet,
    tokenizer: PreTrainedTokenizerBase,
    wanted: Mapping[str, Sequence[int]],
    *,
    n: int,
    sampling: Sampling,
    seed: int,
    on_progress: OnProgress,
) -> Iterator[Answer]:
    """This rank's answers as they end: for each problem id the indices wanted, of `n` there are in all.

    Drawn by key: on a CPU, an answer does not depend on which others are wanted, nor on the number of ranks.
    """
    outline = RolloutShape(
        responses=sum(map(len, wanted.values())),
        group=n,
        prompt_tokens=max(prompts.tokens.values()),
        max_tokens=sampling.max_tokens,
    )
    requests = (Request(prompts.encode(name), indices, sampling) for name, indices in wanted.items())
    for response in engine.stream(requests, outline, StreamKey(seed, EVALUATION_STEP), on_progress):
        text = str(tokenizer.decode(response.tokens, skip_special_tokens=True))
        length = len(response.tokens)
        yield Answer(response.problem_id, response.index, text, length, response.truncated)
