"""Samples responses to held-out problems, for validation and the Pass@k evaluator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from vlm_uec.data.prompts import PromptSet
from vlm_uec.rollout.engine import OnProgress, Request, RolloutEngine, RolloutShape, Sampling, StreamKey

# Trainer steps count from 1, so evaluation and training never share random numbers. All evaluations with
# one seed draw the same numbers, which reduces the noise of comparisons.
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
    response_text: Callable[[torch.Tensor], str],
    indices: Mapping[str, Sequence[int]],
    *,
    n: int,
    sampling: Sampling,
    seed: int,
    on_progress: OnProgress,
) -> Iterator[Answer]:
    """This rank's answers, in order of completion. `indices`: by problem id, which of its `n` responses;
    `response_text`: the text of sampled tokens.

    Random numbers are keyed: on a CPU, an answer depends neither on the other requested answers nor on the
    number of ranks.
    """
    shape = RolloutShape(
        responses=sum(map(len, indices.values())),
        group=n,
        prompt_tokens=max(prompts.tokens.values()),
        max_tokens=sampling.max_tokens,
    )
    requests = (Request(prompts.encode(name), numbers, sampling) for name, numbers in indices.items())
    for response in engine.stream(requests, shape, StreamKey(seed, EVALUATION_STEP), on_progress):
        text = response_text(response.tokens)
        length = len(response.tokens)
        yield Answer(response.problem_id, response.index, text, length, response.truncated)
