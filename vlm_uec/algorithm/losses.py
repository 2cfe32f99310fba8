"""Per-token losses and weights. Every tensor is [T]: the response tokens scored in a packed row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

Aggregation = Literal["token_mean", "sequence_mean", "constant"]
KLEstimator = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_MAX_LOG_RATIO = 20.0


@dataclass(frozen=True)
class SurrogateTerms:
    """The clipped surrogate of each token, and what clipping did to it. Each tensor [T]."""

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
    -c A (Ye et al. 2020, arXiv 1912.09729, "dual-clip PPO"), where PPO's own clip leaves it unbounded;
    None leaves it so. Raises ValueError for dual_clip <= 1, which removes the gradient of A < 0 at r = 1.
    """
    if dual_clip is not None and dual_clip <= 1:
        raise ValueError(f"dual_clip must be above 1, or None for no such bound; got {dual_clip}")
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


def bounded_exp(log_ratio: torch.Tensor) -> torch.Tensor:
    # exp overflows, an infinite ratio times an advantage of zero is NaN, and one NaN token spoils every
    # gradient. Beyond e^20 a token's gradient is noise; the clamp gives it none.
    return torch.exp(log_ratio.clamp(-_MAX_LOG_RATIO, _MAX_LOG_RATIO))


def _k1(logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """log(p / ref): unbiased, of either sign; as a loss its gradient averages to zero on-policy."""
    return logprobs - reference_logprobs


def _k2(logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """log(p / ref)^2 / 2: biased, never negative; its gradient averages to the KL's on-policy."""
    return 0.5 * (logprobs - reference_logprobs).square()


def _k3(logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """exp(r) - r - 1 with r = log(ref / p): unbiased, never negative ("low_var_kl"); GRPO's equation 4."""
    r = (reference_logprobs - logprobs).clamp(-_MAX_LOG_RATIO, _MAX_LOG_RATIO)
    # expm1, because exp(r) - 1 loses every digit of r^2 / 2 where the policy is still near the reference.
    return torch.expm1(r) - r


KL_ESTIMATORS: Mapping[str, KLEstimator] = {"k1": _k1, "k2": _k2, "k3": _k3}
"""KL(policy || reference) from a sampled token, by name; (logprobs [T], reference_logprobs [T]) -> [T].

Schulman, "Approximating KL Divergence" (2020, joschu.net/blog/kl-approx.html).
"""


def truncated_importance_weights(
    old_logprobs: torch.Tensor, behaviour_logprobs: torch.Tensor, cap: float
) -> torch.Tensor:
    """min(old / behaviour probability, cap), [T], without gradient: multiplies the surrogate of a token.

    Corrects for the policy that sampled the token (temperature, top-p, age) not being the one that the
    ratio starts from. Truncated importance sampling: Ionides 2008; per token as in IMPALA's rho
    (arXiv 1802.01561, section 4.1).
    """
    return bounded_exp((old_logprobs - behaviour_logprobs).detach()).clamp(max=cap)


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

    KL-Cov (arXiv 2505.22617): the tokens that lower entropy most; only they get a KL to the old policy.
    Ties go to the earliest token.
    """
    covariance = (logprobs - logprobs.mean()) * (advantages - advantages.mean())
    count = min(len(logprobs), max(1, int(fraction * len(logprobs))))
    chosen = torch.zeros_like(logprobs, dtype=torch.bool)
    chosen[covariance.argsort(descending=True, stable=True)[:count]] = True
    return chosen
