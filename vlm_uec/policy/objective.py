"""From the config's name of an objective to the loss of a pass's tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vlm_uec.algorithm.losses import SurrogateTerms, clipped_surrogate
from vlm_uec.algorithm.objectives import (
    clipped_weight,
    sequence_surrogate,
    soft_gate,
    unclipped_surrogate,
)
from vlm_uec.config import LossConfig


def surrogate(
    loss: LossConfig,
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    lengths: Sequence[int],
) -> SurrogateTerms:
    """The objective named by `loss.name`, all [T]; `lengths` of the pass's responses, in order."""
    if loss.name == "gspo":
        return sequence_surrogate(
            logprobs, old_logprobs, advantages, lengths, clip_low=loss.clip_low, clip_high=loss.clip_high
        )
    if loss.name == "cispo":
        return clipped_weight(
            logprobs, old_logprobs, advantages, clip_low=loss.clip_low, clip_high=loss.clip_high
        )
    if loss.name == "sapo":
        return soft_gate(
            logprobs,
            old_logprobs,
            advantages,
            tau_positive=loss.tau_positive,
            tau_negative=loss.tau_negative,
        )
    if loss.name == "unclipped":
        return unclipped_surrogate(logprobs, old_logprobs, advantages)
    return clipped_surrogate(
        logprobs,
        old_logprobs,
        advantages,
        clip_low=loss.clip_low,
        clip_high=loss.clip_high,
        dual_clip=loss.dual_clip,
    )
