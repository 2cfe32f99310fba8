"""Keyed sampling: a response's random numbers depend on its key alone, never on who else is sampled."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vlm_uec.keys import keyed_generator
from vlm_uec.policy.head import entropy_of, log_softmax_allowed


@dataclass(frozen=True)
class Sampled:
    """One token for each of S rows; every tensor [S]."""

    tokens: torch.Tensor
    behaviour_logprobs: torch.Tensor
    policy_logprobs: torch.Tensor
    entropy: torch.Tensor
    kept_mass: torch.Tensor


def uniform_stream(seed: int, step: int, problem_id: str, index: int, count: int) -> torch.Tensor:
    """`count` uniforms in [0, 1), float64, that this key alone determines."""
    return torch.from_numpy(keyed_generator(seed, step, problem_id, index).random(count))


def sample_tokens(
    logits: torch.Tensor, banned: torch.Tensor, uniforms: torch.Tensor, temperature: float, top_p: float
) -> Sampled:
    """Inverse-CDF draw from softmax(logits / temperature) cut to its top-p nucleus.

    `logits` [S, V] fp32, `banned` [V] bool, `uniforms` [S] float64. Two log-probs are kept for each
    token: of the distribution sampled from, and of the policy itself (t = 1, all allowed ids).
    """
    policy = log_softmax_allowed(logits, banned)
    if temperature == 0.0:
        tokens = policy.argmax(dim=-1)
        chosen = policy.gather(1, tokens[:, None])[:, 0]
        sure = torch.zeros_like(chosen)
        return Sampled(tokens, sure, chosen, entropy_of(policy), sure + 1.0)
    tempered = policy if temperature == 1.0 else log_softmax_allowed(logits / temperature, banned)
    kept = nucleus(tempered.exp(), top_p)
    tokens = inverse_cdf(kept, uniforms)
    mass = kept.sum(dim=-1)
    column = tokens[:, None]
    return Sampled(
        tokens=tokens,
        behaviour_logprobs=tempered.gather(1, column)[:, 0] - mass.log(),
        policy_logprobs=policy.gather(1, column)[:, 0],
        entropy=entropy_of(policy),
        kept_mass=mass,
    )


def nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """Probabilities [S, V] with all but the nucleus set to 0: the fewest most likely ids whose mass
    reaches `top_p` (Holtzman et al. 2020, arXiv 1904.09751). Not renormalised."""
    if top_p >= 1.0:
        return probabilities
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(dim=-1) - ordered
    keep = torch.zeros_like(probabilities, dtype=torch.bool).scatter_(1, order, before < top_p)
    return probabilities.masked_fill(~keep, 0.0)


def inverse_cdf(weights: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """The id [S] where the cumulative weight ([S, V], need not sum to 1) first exceeds uniform * total.

    In float64: over 152 k ids a float32 sum would shift the boundaries by more than a rare id's mass.
    """
    cumulative = weights.double().cumsum(dim=-1)
    total = cumulative[:, -1:]
    below_total = torch.nextafter(total, torch.zeros_like(total))
    target = torch.minimum(uniforms[:, None] * total, below_total)
    return torch.searchsorted(cumulative, target, right=True)[:, 0]
