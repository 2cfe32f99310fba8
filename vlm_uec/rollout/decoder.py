"""One decode step of the text model, straight on its weights.

The layers of transformers would do the same, at several times the overhead a token: each builds rotary
factors, repeats key heads and goes through a cache class. Equality with them is tested.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from vlm_uec.rollout.cache import SlotCache, View


class TextDecoder:
    """Reads the weights of a Qwen2.5-VL text model, which must be whole (not sharded) when it is called."""

    def __init__(self, text_model: Any) -> None:
        self._text = text_model

    def __call__(
        self, tokens: torch.Tensor, positions: torch.Tensor, cache: SlotCache, view: View
    ) -> torch.Tensor:
        """Hidden states [S, H] after one token a slot ([S]) at M-RoPE positions [S]; writes the cache."""
        text = self._text
        hidden = F.embedding(tokens, text.embed_tokens.weight)
        cos, sin = self._rotation(positions, hidden.dtype)
        masks = cache.masks(view)
        for number, layer in enumerate(text.layers):
            attention = layer.self_attn
            normed = _rms_norm(hidden, layer.input_layernorm)
            query, key, value = (
                _linear(normed, projection).unflatten(1, (-1, attention.head_dim))
                for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            query, key = _rotate(query, cos, sin), _rotate(key, cos, sin)
            attended = cache.attend(number, query, key, value, masks, attention.scaling)
            hidden = hidden + _linear(attended.flatten(1), attention.o_proj)
            normed = _rms_norm(hidden, layer.post_attention_layernorm)
            gate = F.silu(_linear(normed, layer.mlp.gate_proj))
            hidden = hidden + _linear(gate * _linear(normed, layer.mlp.up_proj), layer.mlp.down_proj)
        return _rms_norm(hidden, text.norm)

    def _rotation(self, positions: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Rotary factors [S, 1, D / 2]. A response's three M-RoPE axes are equal, so one serves them all."""
        rotary = self._text.rotary_emb
        angles = positions[:, None, None].float() * rotary.inv_freq.float()
        scale = rotary.attention_scaling
        return (angles.cos() * scale).to(dtype), (angles.sin() * scale).to(dtype)


def _linear(inputs: torch.Tensor, layer: Any) -> torch.Tensor:
    return F.linear(inputs, layer.weight, layer.bias)


def _rms_norm(hidden: torch.Tensor, norm: Any) -> torch.Tensor:
    normed = F.rms_norm(hidden.float(), hidden.shape[-1:], eps=norm.variance_epsilon)
    return norm.weight * normed.to(hidden.dtype)


def _rotate(heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
