"""Scores vLLM's responses with the policy: policy log-probs, exact entropy, kept mass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from vlm_uec.model.attention import packed_attention
from vlm_uec.model.head import CHUNK_ELEMENTS
from vlm_uec.model.packing import Row, pack
from vlm_uec.model.policy import Policy
from vlm_uec.rollout.engine import Sampling
from vlm_uec.rollout.sampling import Sampled, score_tokens
from vlm_uec.types import EncodedPrompt


@torch.no_grad()
def score_responses(
    policy: Policy,
    prompt: EncodedPrompt,
    features: torch.Tensor,
    responses: Sequence[torch.Tensor],
    sampling: Sampling,
    max_positions: int,
) -> list[Sampled]:
    """Records of each response ([R] int64) as if the policy had sampled it; tensors [R], on the CPU.

    `features` [image tokens, H] of the prompt's pictures, on the CPU. The policy's weights must be gathered.
    A pass reads the prompt once, and as many responses as fit into `max_positions`.
    """
    scored: list[Sampled] = []
    for part in _batches(responses, max_positions - prompt.length):
        batch = pack([Row(prompt, part)], [features]).to(policy.head.weight.device)
        assert batch.features is not None
        embeddings = policy.embed(batch.input_ids, batch.features)
        hidden = policy.hidden_states(embeddings, batch.position_ids, packed_attention(batch))[
            batch.predictors
        ]
        records = _score(policy, hidden, batch.targets, sampling)
        lengths = [len(tokens) for tokens in part]
        split = {name: values.cpu().split(lengths) for name, values in records.items()}
        scored += [
            Sampled(**{name: values[index].clone() for name, values in split.items()})
            for index in range(len(part))
        ]
    return scored


def _score(
    policy: Policy, hidden: torch.Tensor, targets: torch.Tensor, sampling: Sampling
) -> dict[str, torch.Tensor]:
    """Records [T] of hidden states [T, H]; computes the logits of a few positions at a time."""
    size = max(1, CHUNK_ELEMENTS // len(policy.head.banned))
    pieces = [
        vars(
            score_tokens(
                policy.logits(states),
                policy.head.banned,
                tokens,
                _filled(sampling.temperature, tokens),
                _filled(sampling.top_p, tokens),
            )
        )
        for states, tokens in zip(hidden.split(size), targets.split(size), strict=True)
    ]
    return {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]}


def _filled(value: float, tokens: torch.Tensor) -> torch.Tensor | None:
    return None if value == 1 else torch.full(tokens.shape, value, device=tokens.device)


def _batches(responses: Sequence[torch.Tensor], max_positions: int) -> Iterator[tuple[torch.Tensor, ...]]:
    """Responses in order, in batches of at most `max_positions` tokens or of one response."""
    part: list[torch.Tensor] = []
    for tokens in responses:
        if part and sum(map(len, part)) + len(tokens) > max_positions:
            yield tuple(part)
            part = []
        part.append(tokens)
    if part:
        yield tuple(part)
