"""The family of policy objectives, token by token: what each does with the ratio of new to old probability.

All give a loss to be minimised, [T], whose gradient at a ratio of 1 is -A; they differ in how it fades as the
policy moves away from the one that the ratio starts from. How tokens are weighed is `losses.token_weights`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vlm_uec.algorithm.losses import SurrogateTerms, bounded_exp


def sequence_surrogate(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    lengths: Sequence[int],
    *,
    clip_low: float,
    clip_high: float,
) -> SurrogateTerms:
    """max(-s A, -clip(s, 1 - clip_low, 1 + clip_high) A), s = exp(mean over the response of log p - log old).

    GSPO (arXiv 2507.18071), in the form of its GSPO-token: every token has the response's ratio as its value
    and its own log-prob's gradient, s_t = sg(s) p / sg(p); equal, as a response has one advantage. All [T].
    `lengths`: tokens of each response, in order; raises ValueError where they do not add up to T.
    """
    if sum(lengths) != len(logprobs):
        raise ValueError(f"responses of {sum(lengths)} tokens in all, but {len(logprobs)} log-probs")
    counts = torch.tensor(list(lengths), device=logprobs.device)
    log_ratios = (logprobs - old_logprobs).detach()
    means = torch.segment_reduce(log_ratios, "mean", lengths=counts, unsafe=True)
    spread = means.repeat_interleave(counts, output_size=len(logprobs))
    ratio = bounded_exp(spread) * torch.exp(logprobs - logprobs.detach())
    loss = torch.maximum(-ratio * advantages, -ratio.clamp(1 - clip_low, 1 + clip_high) * advantages)
    return SurrogateTerms(
        loss=loss,
        ratio=ratio.detach(),
        clipped_low=(ratio.detach() < 1 - clip_low) & (advantages < 0),
        clipped_high=(ratio.detach() > 1 + clip_high) & (advantages > 0),
    )


def clipped_weight(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    *,
    clip_low: float,
    clip_high: float,
) -> SurrogateTerms:
    """-sg(clip(r, 1 - clip_low, 1 + clip_high)) A log p, all [T]: the weight is clipped, no token is dropped.

    CISPO (MiniMax-M1, arXiv 2506.13585); its authors set no lower bound (clip_low 1).
    """
    ratio = bounded_exp(logprobs - old_logprobs).detach()
    weight = ratio.clamp(1 - clip_low, 1 + clip_high)
    return SurrogateTerms(
        loss=-weight * advantages * logprobs,
        ratio=ratio,
        clipped_low=ratio < 1 - clip_low,
        clipped_high=ratio > 1 + clip_high,
    )


def soft_gate(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    *,
    tau_positive: float,
    tau_negative: float,
) -> SurrogateTerms:
    """-f(r) A with f(r) = (4 / tau) sigmoid(tau (r - 1)), all [T]; tau by the advantage's sign.

    SAPO (arXiv 2511.20347): the gradient fades smoothly on both sides instead of ending at a bound, so
    nothing counts as clipped.
    """
    ratio = bounded_exp(logprobs - old_logprobs)
    tau = torch.where(advantages > 0, tau_positive, tau_negative)
    never = torch.zeros_like(advantages, dtype=torch.bool)
    return SurrogateTerms(
        loss=-4 / tau * torch.sigmoid(tau * (ratio - 1)) * advantages,
        ratio=ratio.detach(),
        clipped_low=never,
        clipped_high=never,
    )


def unclipped_surrogate(
    logprobs: torch.Tensor, old_logprobs: torch.Tensor, advantages: torch.Tensor
) -> SurrogateTerms:
    """-r A, all [T]: the policy gradient by importance sampling, whose gradient never ends.

    What KL-Cov (arXiv 2505.22617, section 4) puts its penalty on in place of a clip.
    """
    ratio = bounded_exp(logprobs - old_logprobs)
    never = torch.zeros_like(advantages, dtype=torch.bool)
    return SurrogateTerms(
        loss=-ratio * advantages, ratio=ratio.detach(), clipped_low=never, clipped_high=never
    )


def covariance_penalty(
    logprobs: torch.Tensor, old_logprobs: torch.Tensor, leading: torch.Tensor, coefficient: float
) -> torch.Tensor:
    """coefficient |log p - log old| on the tokens of `leading` (bool), 0 elsewhere; all [T]. KL-Cov's."""
    return coefficient * (logprobs - old_logprobs).abs() * leading


def entropy_bonus(entropy: torch.Tensor, coefficient: float) -> torch.Tensor:
    """-coefficient H of each token's distribution, [T]; as in A3C (arXiv 1602.01783, section 4)."""
    return -coefficient * entropy


def covariance_selection(logprobs: torch.Tensor, advantages: torch.Tensor, fraction: float) -> torch.Tensor:
    """Which tokens ([T] bool) are the `fraction` of largest (log p - mean)(A - mean), at least one of any.

    KL-Cov (arXiv 2505.22617): those that pull entropy down most; a KL to the old policy is put on them alone.
    Of equals the first.
    """
    covariance = (logprobs - logprobs.mean()) * (advantages - advantages.mean())
    count = min(len(logprobs), max(1, int(fraction * len(logprobs))))
    chosen = torch.zeros_like(logprobs, dtype=torch.bool)
    chosen[covariance.argsort(descending=True, stable=True)[:count]] = True
    return chosen
