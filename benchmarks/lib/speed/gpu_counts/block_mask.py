"""Bytes of the largest tensor with which the block mask of a packed batch is made."""

from __future__ import annotations

import torch

from benchmarks.lib.speed.gpu_counts.rows import CountRow
from benchmarks.lib.speed.gpu_counts.traffic import Traffic
from vlm_uec.model.attention_tiles import Span
from vlm_uec.model.block_mask import packed_block_mask

LENGTH, PROMPT, RESPONSE = 32_768, 512, 512
BOUND = 1.0  # MB; one byte per pair of positions would be 1,074 MB


def rows() -> list[CountRow]:
    prompts = range(0, LENGTH, 8 * RESPONSE)
    spans = [span for start in prompts for span in _row(start)]
    segment = torch.cat([torch.full((span.length,), number % 8) for number, span in enumerate(spans)])
    row = torch.arange(LENGTH) // (8 * RESPONSE)
    with Traffic() as traffic:
        packed_block_mask(spans, row, segment)
    name = f"block mask of {LENGTH:,} positions: largest tensor"
    return [CountRow(name, traffic.largest / 1e6, "MB", BOUND)]


def _row(start: int) -> list[Span]:
    """A prompt and seven responses."""
    responses = range(start + PROMPT, start + 8 * RESPONSE, RESPONSE)
    return [Span(start, PROMPT), *(Span(at, RESPONSE, start, PROMPT) for at in responses)]
