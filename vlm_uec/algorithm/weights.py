"""Token weights: aggregation over a mini-batch, and importance weights relative to the sampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from vlm_uec.algorithm.losses import bounded_exp

Aggregation = Literal["token_mean", "sequence_mean", "constant"]


def token_weights(lengths: Sequence[int], aggregation: Aggregation, limit: int) -> list[float]:
    """The weight of each trajectory's tokens; the mini-batch's loss is the sum of weight * token loss.

    `lengths`: of the whole mini-batch over all ranks, because a mean of per-rank means would weigh tokens by
    the rank they are on. "token_mean": 1 / total (DAPO, arXiv 2503.14476, section 3.3);
    "sequence_mean": 1 / (n * length) (GRPO, arXiv 2402.03300, equation 3); "constant": 1 / (n * limit), so
    that a token's weight does not depend on its response's length (Dr. GRPO, arXiv 2503.20783). `limit`:
    maximum tokens of a response. Raises ValueError for a length below 1 or an unknown aggregation.
    """
    for index, length in enumerate(lengths):
        if length < 1:
            raise ValueError(f"trajectory {index} has {length} tokens; a response has at least one")
    if aggregation == "token_mean":
        total = sum(lengths)
        return [1 / total for _ in lengths]
    if aggregation == "sequence_mean":
        return [1 / (len(lengths) * length) for length in lengths]
    if aggregation == "constant":
        return [1 / (len(lengths) * limit) for _ in lengths]
    raise ValueError(f"unknown aggregation {aggregation!r}; use token_mean, sequence_mean or constant")


def truncated_importance_weights(
    old_logprobs: torch.Tensor, behaviour_logprobs: torch.Tensor, cap: float
) -> torch.Tensor:
    """min(old / behaviour probability, cap), [T], without gradient; multiplies each token's surrogate.

    Corrects for the difference (temperature, top-p, age) between the policy that sampled the token and the
    old policy of the ratio. Truncated importance sampling: Ionides 2008; per token as in IMPALA's rho
    (arXiv 1802.01561, section 4.1).
    """
    return bounded_exp((old_logprobs - behaviour_logprobs).detach()).clamp(max=cap)
