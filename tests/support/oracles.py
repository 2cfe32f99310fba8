"""Slow and simple reference implementations that the code under test must equal."""

from __future__ import annotations

from typing import Any

import torch

from tests.support.tiny import BANNED, IMAGE_PAD
from vlm_uec.types import EncodedPrompt


def visibility_mask(row: torch.Tensor, segment: torch.Tensor) -> torch.Tensor:
    """Attention mask [L, L] bool: position i attends to j if j is not later, in the same row, and in the
    prompt or in i's own response."""
    index = torch.arange(len(row))
    same_row = row[:, None] == row[None, :]
    readable = (segment[None, :] == 0) | (segment[:, None] == segment[None, :])
    return same_row & readable & (index[None, :] <= index[:, None])


def dense_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scale: float
) -> torch.Tensor:
    """Explicit softmax: query [H, Q, D], key and value [KV heads, K, D], mask [Q, K] bool; [Q, H, D]."""
    shared = query.shape[0] // key.shape[0]
    keys, values = key.repeat_interleave(shared, dim=0), value.repeat_interleave(shared, dim=0)
    scores = (query @ keys.transpose(1, 2) * scale).masked_fill(~mask, -torch.inf)
    return (scores.softmax(dim=-1) @ values).transpose(0, 1)


def plain_logits(model: Any, prompt: EncodedPrompt, tokens: torch.Tensor) -> torch.Tensor:
    """Teacher-forced logits [R, V] of one sequence by transformers' forward pass; banned ids at -inf.

    `model` is one of `tiny_model` without a `Policy`, which would replace its attention.
    """
    assert model.config.text_config._attn_implementation == "sdpa"
    assert model.config.vision_config._attn_implementation == "sdpa"
    ids = torch.cat([prompt.input_ids, tokens])[None]
    grid = prompt.image_grid_thw if len(prompt.image_grid_thw) else None
    positions, _ = model.model.get_rope_index(ids, (ids == IMAGE_PAD).int(), image_grid_thw=grid)
    logits = model(
        input_ids=ids,
        position_ids=positions,
        pixel_values=prompt.pixel_values if grid is not None else None,
        image_grid_thw=grid,
        use_cache=False,
    ).logits[0, prompt.length - 1 : -1]
    return logits.index_fill(1, torch.tensor(BANNED), -torch.inf)


def plain_scores(
    model: Any, prompt: EncodedPrompt, tokens: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probs [R] and exact entropies [R] over the allowed ids, by the same forward pass."""
    allowed = [token for token in range(model.config.text_config.vocab_size) if token not in BANNED]
    logprobs = torch.log_softmax(plain_logits(model, prompt, tokens)[:, allowed], dim=-1)
    # Banned ids are the last ones, so an allowed id is its own column.
    return logprobs.gather(1, tokens[:, None])[:, 0], -(logprobs.exp() * logprobs).sum(dim=-1)
