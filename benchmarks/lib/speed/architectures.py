"""Shapes of models with random weights: published ones and a tiny one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from vlm_uec.forecast.shape import published_sizes


@dataclass(frozen=True)
class Architecture:
    """The settings that differ between the models; all others are Qwen2.5-VL's defaults."""

    text: Mapping[str, Any]
    vision: Mapping[str, Any]
    mrope_section: tuple[int, int, int]  # rotary pairs of a head for time, height and width
    dtype: torch.dtype


def _published(size: str) -> Architecture:
    text, tower = published_sizes(size)
    windows = {"window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31]}
    return Architecture(text, {**tower, **windows}, mrope_section=(16, 24, 24), dtype=torch.bfloat16)


ARCHITECTURES = {
    # Trains on one CPU core and has every part of the large models: windows, grouped heads, tied embeddings.
    "2m": Architecture(
        text={
            "vocab_size": 512,
            "hidden_size": 128,
            "intermediate_size": 344,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "tie_word_embeddings": True,
        },
        vision={
            "depth": 4,
            "hidden_size": 128,
            "intermediate_size": 344,
            "num_heads": 4,
            "window_size": 112,
            "fullatt_block_indexes": [1, 3],
            "out_hidden_size": 128,
        },
        mrope_section=(4, 6, 6),
        dtype=torch.float32,
    ),
    # As deep as the 3B model, with hardly any arithmetic: its time is the host's.
    "thin": Architecture(
        text={
            "vocab_size": 512,
            "hidden_size": 96,
            "intermediate_size": 128,
            "num_hidden_layers": 36,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
            "tie_word_embeddings": True,
        },
        vision={
            "depth": 32,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_heads": 4,
            "window_size": 112,
            "fullatt_block_indexes": [7, 15, 23, 31],
            "out_hidden_size": 96,
        },
        mrope_section=(1, 1, 1),
        dtype=torch.float32,
    ),
    "3b": _published("3B"),
    "7b": _published("7B"),
}
