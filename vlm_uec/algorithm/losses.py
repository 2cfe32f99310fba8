"""Per-token policy losses. Every tensor is [T]: the response tokens scored in a packed row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

MAX_LOG_RATIO = 20.0


@dataclass(frozen=True)
class SurrogateTerms:
    """The surrogate loss of each token, and which tokens were clipped. Each tensor [T]."""

    loss: torch.Tensor  # to be minimised; carries the gradient
    ratio: torch.Tensor  # new / old probability, detached
    clipped_low: torch.Tensor  # bool: ratio < 1 - clip_low and advantage < 0
    clipped_high: torch.Tensor  # bool: ratio > 1 + clip_high and advantage > 0


def clipped_surrogate(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    *,
    clip_low: float,
    clip_high: float,
    dual_clip: float | None,
) -> SurrogateTerms:
    """max(-r A, -clip(r, 1 - clip_low, 1 + clip_high) A) with r = exp(logprobs - old_logprobs); all [T].

    PPO (arXiv 1707.06347), equation 7, with GRPO's advantage (arXiv 2402.03300, equation 3) and the two
    bounds of DAPO's Clip-Higher (arXiv 2503.14476, section 3.1). `dual_clip` c bounds the loss of A < 0 by
    -c A (Ye et al. 2020, arXiv 1912.09729, "dual-clip PPO"), which PPO's own clip leaves unbounded;
    None disables this bound. Raises ValueError for dual_clip <= 1, which would remove the gradient of A < 0
    at r = 1.
    """
    if dual_clip is not None and dual_clip <= 1:
        raise ValueError(f"dual_clip must be above 1, or None to disable it; got {dual_clip}")
    ratio = bounded_exp(logprobs - old_logprobs)
    loss = torch.maximum(-ratio * advantages, -ratio.clamp(1 - clip_low, 1 + clip_high) * advantages)
    if dual_clip is not None:
        loss = torch.where(advantages < 0, torch.minimum(loss, -advantages * dual_clip), loss)
    ratio = ratio.detach()
    return SurrogateTerms(
        loss=loss,
        ratio=ratio,
        clipped_low=(ratio < 1 - clip_low) & (advantages < 0),
        clipped_high=(ratio > 1 + clip_high) & (advantages > 0),
    )


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

    GSPO (arXiv 2507.18071), in its GSPO-token form, s_t = sg(s) p / sg(p): the value at every token is the
    response's ratio, and the gradient flows through the token's own log-prob. The two forms are equal because
    a response has one advantage. All [T].
    `lengths`: tokens of each response, in order; raises ValueError if they do not add up to T.
    """
    if sum(lengths) != len(logprobs):
        raise ValueError(f"responses of {sum(lengths)} tokens in total, but {len(logprobs)} log-probs")
    counts = torch.tensor(list(lengths), device=logprobs.device)
    log_ratios = (logprobs - old_logprobs).detach()
    means = torch.segment_reduce(log_ratios, "mean", lengths=counts, unsafe=True)
    token_means = means.repeat_interleave(counts, output_size=len(logprobs))
    ratio = bounded_exp(token_means) * torch.exp(logprobs - logprobs.detach())
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
    """-sg(clip(r, 1 - clip_low, 1 + clip_high)) A log p, all [T].

    CISPO (MiniMax-M1, arXiv 2506.13585): clips the weight only, so every token keeps a gradient. Its
    authors set no lower bound (clip_low 1).
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
    """-f(r) A with f(r) = (4 / tau) sigmoid(tau (r - 1)), all [T]; tau depends on the advantage's sign.

    SAPO (arXiv 2511.20347): the gradient decays smoothly on both sides instead of stopping at a bound;
    no token is counted as clipped.
    """
    ratio = bounded_exp(logprobs - old_logprobs)
    tau = torch.where(advantages > 0, tau_positive, tau_negative)
    none_clipped = torch.zeros_like(advantages, dtype=torch.bool)
    return SurrogateTerms(
        loss=-4 / tau * torch.sigmoid(tau * (ratio - 1)) * advantages,
        ratio=ratio.detach(),
        clipped_low=none_clipped,
        clipped_high=none_clipped,
    )


def unclipped_surrogate(
    logprobs: torch.Tensor, old_logprobs: torch.Tensor, advantages: torch.Tensor
) -> SurrogateTerms:
    """-r A, all [T]: the importance-sampled policy gradient without a clip.

    KL-Cov (arXiv 2505.22617, section 4) adds its penalty to this loss instead of clipping.
    """
    ratio = bounded_exp(logprobs - old_logprobs)
    none_clipped = torch.zeros_like(advantages, dtype=torch.bool)
    return SurrogateTerms(
        loss=-ratio * advantages, ratio=ratio.detach(), clipped_low=none_clipped, clipped_high=none_clipped
    )


def covariance_selection(logprobs: torch.Tensor, advantages: torch.Tensor, fraction: float) -> torch.Tensor:
    """Mask [T] of the `fraction` of tokens with the largest (log p - mean)(A - mean), at least one token.

    KL-Cov (arXiv 2505.22617): these tokens reduce entropy most; only they get a KL to the old policy.
    Ties go to the earliest token.
    """
    covariance = (logprobs - logprobs.mean()) * (advantages - advantages.mean())
    count = min(len(logprobs), max(1, int(fraction * len(logprobs))))
    selected = torch.zeros_like(logprobs, dtype=torch.bool)
    selected[covariance.argsort(descending=True, stable=True)[:count]] = True
    return selected


def covariance_penalty(
    logprobs: torch.Tensor, old_logprobs: torch.Tensor, selected: torch.Tensor, coefficient: float
) -> torch.Tensor:
    """KL-Cov's penalty: coefficient |log p - log old| on `selected` tokens (bool), 0 elsewhere; all [T]."""
    return coefficient * (logprobs - old_logprobs).abs() * selected


def entropy_bonus(entropy: torch.Tensor, coefficient: float) -> torch.Tensor:
    """-coefficient H of each token's distribution, [T]; as in A3C (arXiv 1602.01783, section 4)."""
    return -coefficient * entropy


def bounded_exp(log_ratio: torch.Tensor) -> torch.Tensor:
    """exp of the log ratio, clamped to +-`MAX_LOG_RATIO`."""
    # exp overflows, an infinite ratio times a zero advantage is NaN, and one NaN token makes every gradient
    # NaN. Beyond e^20 a token's gradient is noise; the clamp removes it.
    return torch.exp(log_ratio.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO))
