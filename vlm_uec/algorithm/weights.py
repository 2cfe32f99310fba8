"""Weights of tokens: aggregation over a mini-batch, and importance weights against the sampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from vlm_uec.algorithm.losses import bounded_exp

Aggregation = Literal["token_mean", "sequence_mean", "constant"]


def token_weights(lengths: Sequence[int], aggregation: Aggregation, limit: int) -> list[float]:
    """The weight of each token of each trajectory: sum of weight * token loss is the mini-batch's loss.

    `lengths` are those of the whole mini-batch, of every rank, because a mean of the ranks' means would
    weigh tokens by where they lie. "token_mean": 1 / total (DAPO, arXiv 2503.14476, section 3.3);
    "sequence_mean": 1 / (n * length) (GRPO, arXiv 2402.03300, equation 3); "constant": 1 / (n * limit), so
    that no response's length weighs its tokens (Dr. GRPO, arXiv 2503.20783). `limit`: tokens that a response
    may have. Raises ValueError for a length below 1 or an unknown aggregation.
    """
    for index, length in enumerate(lengths):
        if length < 1:
            raise ValueError(f"trajectory {index} has {length} tokens; a response has at least its end token")
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
    """min(old / behaviour probability, cap), [T], without gradient: multiplies the surrogate of a token.

    Corrects for the policy that sampled the token (temperature, top-p, age) not being the one that the
    ratio starts from. Truncated importance sampling: Ionides 2008; per token as in IMPALA's rho
    (arXiv 1802.01561, section 4.1).
    """
    return bounded_exp((old_logprobs - behaviour_logprobs).detach()).clamp(max=cap)
