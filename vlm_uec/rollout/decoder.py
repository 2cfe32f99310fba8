"""One decode step of the text model, computed directly on its weights.

The layers of transformers compute the same at several times the overhead per token: each builds rotary
factors, repeats key heads and uses a cache class. Tests check equality with them.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from vlm_uec.model.adapters import linear
from vlm_uec.rollout.cache import SlotCache, View


class TextDecoder:
    """Reads the weights of a Qwen2.5-VL text model, which must be gathered (not sharded) during a call."""

    def __init__(self, text_model: Any) -> None:
        self._text = text_model

    def __call__(
        self, tokens: torch.Tensor, positions: torch.Tensor, cache: SlotCache, view: View
    ) -> torch.Tensor:
        """Hidden states [S, H] after one token a slot ([S]) at M-RoPE positions [S]; writes the cache."""
        text = self._text
        hidden = F.embedding(tokens, text.embed_tokens.weight)
        rotation = self._rotation(positions, hidden.dtype)
        step_positions = cache.step_positions(view)
        for number, layer in enumerate(text.layers):
            attention = layer.self_attn
            normed = _rms_norm(hidden, layer.input_layernorm)
            query, key, value = (
                linear(normed, projection).unflatten(1, (-1, attention.head_dim))
                for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            query, key = _rotate(query, rotation), _rotate(key, rotation)
            attended = cache.attend(number, query, key, value, step_positions, attention.scaling)
            hidden = hidden + linear(attended.flatten(1), attention.o_proj)
            normed = _rms_norm(hidden, layer.post_attention_layernorm)
            gate = F.silu(linear(normed, layer.mlp.gate_proj))
            hidden = hidden + linear(gate * linear(normed, layer.mlp.up_proj), layer.mlp.down_proj)
        return _rms_norm(hidden, text.norm)

    def _rotation(self, positions: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Rotary factors [S, 1, D], of the heads and of their swapped halves.

        A response's three M-RoPE axes are equal, so one set of factors serves all three.
        """
        rotary = self._text.rotary_emb
        angles = positions[:, None, None].float() * rotary.inv_freq.float()
        cos, sin = angles.cos() * rotary.attention_scaling, angles.sin() * rotary.attention_scaling
        return torch.cat([cos, cos], dim=-1).to(dtype), torch.cat([-sin, sin], dim=-1).to(dtype)


def _rms_norm(hidden: torch.Tensor, norm: Any) -> torch.Tensor:
    return F.rms_norm(hidden, hidden.shape[-1:], norm.weight, norm.variance_epsilon)


def _rotate(heads: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    same, swapped = rotation
    return torch.addcmul(heads * same, heads.roll(heads.shape[-1] // 2, dims=-1), swapped)
