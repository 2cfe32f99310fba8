"""Keyed sampling: a response's random numbers depend on its key alone, never on the other responses."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vlm_uec.model.head import exact_entropy, log_softmax_allowed
from vlm_uec.rng import keyed_generator

BLOCK = 128  # ids; divides the vocabularies of Qwen2.5-VL


@dataclass(frozen=True)
class Sampled:
    """One token for each of S rows; every tensor [S]."""

    tokens: torch.Tensor
    behaviour_logprobs: torch.Tensor
    policy_logprobs: torch.Tensor
    entropy: torch.Tensor
    kept_mass: torch.Tensor


def uniform_stream(seed: int, step: int, problem_id: str, index: int, count: int) -> torch.Tensor:
    """`count` uniforms in [0, 1), float64, determined by the key only."""
    return torch.from_numpy(keyed_generator(seed, step, problem_id, index).random(count))


def sample_tokens(
    logits: torch.Tensor,
    banned: torch.Tensor,
    uniforms: torch.Tensor,
    temperature: torch.Tensor | None = None,
    top_p: torch.Tensor | None = None,
) -> Sampled:
    """Draws one token per row by inverse CDF from the top-p nucleus of softmax(logits / temperature).

    `logits` [S, V] fp32, `banned` [V] bool, `uniforms` [S] float64. `temperature` [S], where 0 is greedy, and
    `top_p` [S]; None means 1 in every row and gives the same numbers as a tensor of ones, with less work. Two
    log-probs are kept for each token: of the distribution sampled from, and of the policy (t = 1, all allowed
    ids).
    """
    rows = _Rows.of(logits, banned, temperature, top_p)
    tokens = inverse_cdf(rows.kept, uniforms)
    if rows.greedy is not None:
        tokens = torch.where(rows.greedy, rows.policy.argmax(dim=-1), tokens)
    return rows.record(tokens)


def score_tokens(
    logits: torch.Tensor,
    banned: torch.Tensor,
    tokens: torch.Tensor,
    temperature: torch.Tensor | None = None,
    top_p: torch.Tensor | None = None,
) -> Sampled:
    """The records that `sample_tokens` would return for `tokens` [S], which another sampler drew."""
    return _Rows.of(logits, banned, temperature, top_p).record(tokens)


@dataclass(frozen=True)
class _Rows:
    """The distributions of S rows, [S, V] each."""

    policy: torch.Tensor  # log-probs at t = 1
    probabilities: torch.Tensor  # exponentials of these
    tempered: torch.Tensor  # log-probs at the temperature
    kept: torch.Tensor  # exponentials of these, 0 outside the nucleus
    mass: torch.Tensor  # [S]: probability kept by top-p
    greedy: torch.Tensor | None  # [S] bool; None: no row is greedy

    @classmethod
    def of(
        cls,
        logits: torch.Tensor,
        banned: torch.Tensor,
        temperature: torch.Tensor | None,
        top_p: torch.Tensor | None,
    ) -> _Rows:
        policy = log_softmax_allowed(logits, banned)
        probabilities = policy.exp()
        tempered, kept = policy, probabilities
        if temperature is not None:
            tempered = _tempered(logits, banned, temperature)
            kept = tempered.exp()
        mass = torch.ones_like(probabilities[:, 0])
        if top_p is not None:
            kept = nucleus(kept, top_p)
            mass = torch.where(top_p >= 1, mass, kept.sum(dim=-1))
        greedy = None if temperature is None else temperature == 0
        return cls(policy, probabilities, tempered, kept, mass, greedy)

    def record(self, tokens: torch.Tensor) -> Sampled:
        """Log-probs, entropy and kept mass of `tokens` [S]."""
        behaviour, mass = _select(self.tempered, tokens) - self.mass.log(), self.mass
        if self.greedy is not None:
            behaviour, mass = behaviour.masked_fill(self.greedy, 0.0), mass.masked_fill(self.greedy, 1.0)
        entropy = exact_entropy(self.policy, self.probabilities)
        return Sampled(tokens, behaviour, _select(self.policy, tokens), entropy, mass)


def _tempered(logits: torch.Tensor, banned: torch.Tensor, temperature: torch.Tensor) -> torch.Tensor:
    # Greedy rows are sampled at t = 1 as well and the result is discarded: no branch, no synchronisation.
    divisor = torch.where(temperature == 0, 1.0, temperature)
    return log_softmax_allowed(logits / divisor[:, None], banned)


def _select(logprobs: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    return logprobs.gather(1, tokens[:, None])[:, 0]


def nucleus(probabilities: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Probabilities [S, V] with 0 outside each row's nucleus: the smallest set of most likely ids whose mass
    reaches `top_p` [S] (Holtzman et al. 2020, arXiv 1904.09751). Not renormalised; a top-p of 1 keeps all.
    Ties go to the earliest id."""
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    mass_before = ordered.cumsum(dim=-1) - ordered
    inside = (mass_before < top_p[:, None]) | (top_p[:, None] >= 1)
    return probabilities.masked_fill(~torch.empty_like(inside).scatter_(1, order, inside), 0.0)


def inverse_cdf(weights: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """The first id [S] whose cumulative weight ([S, V], need not sum to 1) exceeds uniform * total.

    In float64: over 152 k ids a float32 sum would shift the boundaries by more than a rare id's mass.
    Searches blocks, then the ids of one block: weights are read once, without a float64 copy.
    """
    rows, vocabulary = weights.shape
    blocks = weights.view(rows, -1, BLOCK if vocabulary % BLOCK == 0 else vocabulary)
    ends = blocks.sum(dim=-1, dtype=torch.float64).cumsum(dim=-1)
    target = _below(uniforms[:, None] * ends[:, -1:], ends[:, -1:])
    block = torch.searchsorted(ends, target, right=True)
    starts = torch.cat([torch.zeros_like(target), ends], dim=-1).gather(1, block)
    chosen_block = blocks[torch.arange(rows, device=weights.device), block[:, 0]]
    cumulative = chosen_block.cumsum(dim=-1, dtype=torch.float64)
    offset = torch.searchsorted(cumulative, _below(target - starts, cumulative[:, -1:]), right=True)
    return (block * blocks.shape[-1] + offset)[:, 0]


def _below(values: torch.Tensor, bounds: torch.Tensor) -> torch.Tensor:
    """Values, reduced to the largest number below the bounds if rounding put them at or above a bound."""
    return torch.minimum(values, torch.nextafter(bounds, torch.zeros_like(bounds)))
