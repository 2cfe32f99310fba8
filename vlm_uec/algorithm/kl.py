"""Per-token estimators of the KL divergence to the reference policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from vlm_uec.algorithm.losses import MAX_LOG_RATIO

KLEstimator = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _k1(logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """log(p / ref): unbiased, positive or negative; as a loss, its gradient averages to zero on-policy."""
    return logprobs - reference_logprobs


def _k2(logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """log(p / ref)^2 / 2: biased, never negative; its gradient averages to the KL's on-policy."""
    return 0.5 * (logprobs - reference_logprobs).square()


def _k3(logprobs: torch.Tensor, reference_logprobs: torch.Tensor) -> torch.Tensor:
    """exp(r) - r - 1 with r = log(ref / p): unbiased, never negative ("low_var_kl"); GRPO's equation 4."""
    r = (reference_logprobs - logprobs).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
    # expm1, because exp(r) - 1 loses every digit of r^2 / 2 when the policy is close to the reference.
    return torch.expm1(r) - r


def token_kl(
    logprobs: torch.Tensor,
    reference_logprobs: torch.Tensor,
    estimator: str,
    maximum: float | None = None,
) -> torch.Tensor:
    """The named estimate of each token, [T], within `maximum` in size; beyond it, the gradient is zero.

    Without a maximum, k3's gradient grows like the ratio ref / p: one token at a ratio of e^5 has -147. The
    clamp at 10 is that of veRL, EasyR1 and UEC-RL's reference code, not of GRPO's paper.
    """
    kl = KL_ESTIMATORS[estimator](logprobs, reference_logprobs)
    return kl if maximum is None else kl.clamp(-maximum, maximum)


KL_ESTIMATORS: Mapping[str, KLEstimator] = {"k1": _k1, "k2": _k2, "k3": _k3}
"""KL(policy || reference) from a sampled token, by name; (logprobs [T], reference_logprobs [T]) -> [T].

Schulman, "Approximating KL Divergence" (2020, joschu.net/blog/kl-approx.html).
"""
