"""Bytes per scored token that the language-model head moves in a forward and backward pass."""

from __future__ import annotations

import torch

from benchmarks.lib.speed.gpu_counts.rows import CountRow
from benchmarks.lib.speed.gpu_counts.traffic import Traffic, fake_gpu
from vlm_uec.forecast.shape import published_sizes
from vlm_uec.model.head import LogProbHead

TOKENS = 7040  # four chunks at the 3B's vocabulary
BOUNDS = {"3B": 18.0, "7B": 21.0}  # MB


def rows() -> list[CountRow]:
    return [
        CountRow(f"head, {size}: bytes of a scored token", _bytes_per_token(size) / 1e6, "MB", bound)
        for size, bound in BOUNDS.items()
    ]


def _bytes_per_token(size: str) -> float:
    text, _ = published_sizes(size)
    width, vocabulary = text["hidden_size"], text["vocab_size"]
    with fake_gpu(), Traffic() as traffic:
        weight = torch.nn.Parameter(torch.empty(vocabulary, width, dtype=torch.bfloat16))
        head = LogProbHead(weight, torch.empty(vocabulary, dtype=torch.bool))
        hidden = torch.empty(TOKENS, width, dtype=torch.bfloat16, requires_grad=True)
        logprobs, _ = head(hidden, torch.empty(TOKENS, dtype=torch.int64))
        logprobs.backward(torch.empty(TOKENS))
    return traffic.bytes.total() / TOKENS
