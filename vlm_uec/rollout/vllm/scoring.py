"""What only the policy knows of a response that vLLM drew: its own log-probs, exact entropy, kept mass."""

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
    room: int,
) -> list[Sampled]:
    """Each response ([R] int64) as the policy would have drawn it; tensors [R], on the CPU.

    `features` [image tokens, H] of the prompt's pictures, on the CPU; weights must be whole. The
    prompt is read once for as many responses as `room` positions hold.
    """
    scored: list[Sampled] = []
    for part in _portions(responses, room - prompt.length):
        batch = pack([Row(prompt, part)], [features]).to(policy.head.weight.device)
        assert batch.features is not None
        embeddings = policy.embed(batch.input_ids, batch.features)
        hidden = policy.hidden_states(embeddings, batch.position_ids, packed_attention(batch))[
            batch.predictors
        ]
        told = _score(policy, hidden, batch.targets, sampling)
        lengths = [len(tokens) for tokens in part]
        cut = {name: values.cpu().split(lengths) for name, values in told.items()}
        scored += [
            Sampled(**{name: values[place].clone() for name, values in cut.items()})
            for place in range(len(part))
        ]
    return scored


def _score(
    policy: Policy, hidden: torch.Tensor, targets: torch.Tensor, sampling: Sampling
) -> dict[str, torch.Tensor]:
    """Records [T] of hidden states [T, H], with the logits of a few positions at a time."""
    size = max(1, CHUNK_ELEMENTS // len(policy.head.banned))
    pieces = [
        vars(
            score_tokens(
                policy.logits(states),
                policy.head.banned,
                tokens,
                _everywhere(sampling.temperature, tokens),
                _everywhere(sampling.top_p, tokens),
            )
        )
        for states, tokens in zip(hidden.split(size), targets.split(size), strict=True)
    ]
    return {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]}


def _everywhere(value: float, tokens: torch.Tensor) -> torch.Tensor | None:
    return None if value == 1 else torch.full(tokens.shape, value, device=tokens.device)


def _portions(responses: Sequence[torch.Tensor], room: int) -> Iterator[tuple[torch.Tensor, ...]]:
    """Responses in order, as many at a time as `room` positions hold, and at least one."""
    part: list[torch.Tensor] = []
    for tokens in responses:
        if part and sum(map(len, part)) + len(tokens) > room:
            yield tuple(part)
            part = []
        part.append(tokens)
    if part:
        yield tuple(part)
