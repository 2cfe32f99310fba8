"""FlexAttention's block mask of packed rows, computed from their spans: nothing of size L x L is built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from vlm_uec.model.attention_tiles import Span

BLOCK = 128  # FlexAttention's default


def packed_block_mask(
    spans: Sequence[Span], row: torch.Tensor, segment: torch.Tensor, block: int = BLOCK
) -> Any:
    """The `BlockMask` of a packed batch, on the device of `row` and `segment` ([L] int64 each)."""
    from torch.nn.attention.flex_attention import BlockMask

    length = len(row)
    visible = visible_pairs(spans, length, block)
    full = visible == block * block
    parts = [_ordered(matrix) for matrix in ((visible > 0) & ~full, full)]
    # One copy to the device instead of four.
    packed = torch.cat([part for pair in parts for part in pair], dim=1).to(row.device, non_blocking=True)
    count, indices, full_count, full_indices = packed.split([1, len(visible), 1, len(visible)], dim=1)
    return BlockMask.from_kv_blocks(
        count[None, None, :, 0].contiguous(),
        indices[None, None].contiguous(),
        full_count[None, None, :, 0].contiguous(),
        full_indices[None, None].contiguous(),
        BLOCK_SIZE=block,
        mask_mod=visibility(row, segment),
        seq_lengths=(length, length),
    )


def visibility(row: torch.Tensor, segment: torch.Tensor) -> Callable[..., torch.Tensor]:
    """FlexAttention's mask function: the prompt of the own row, and earlier positions of the own segment."""

    def visible(b: Any, h: Any, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        same_segment = (segment[key] == 0) | (segment[query] == segment[key])
        return (row[query] == row[key]) & same_segment & (key <= query)

    return visible


def visible_pairs(spans: Sequence[Span], length: int, block: int) -> torch.Tensor:
    """[n, n] int64, n = ceil(L / block): the number of visible (query, key) pairs of each block."""
    own = _overlaps([(span.start, span.length) for span in spans], length, block)
    prompt = _overlaps([(span.prompt_start, span.prompt_length) for span in spans], length, block)
    causal = own.T @ own
    triangle = (own * (own + 1) // 2).sum(dim=0)  # within a block, a query attends to itself and before
    return own.T @ prompt + causal.tril(-1) + triangle.diag()


def _overlaps(ranges: Sequence[tuple[int, int]], length: int, block: int) -> torch.Tensor:
    """[ranges, n] int64: the number of positions that a range has in each block."""
    start, size = torch.tensor(ranges).T[..., None]
    edge = torch.arange(0, length, block)
    return (torch.minimum(start + size, edge + block) - torch.maximum(start, edge)).clamp(min=0)


def _ordered(blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Number [n, 1] of a query block's key blocks, and their indices [n, n], the used ones first; int32."""
    order = blocks.int().argsort(dim=1, descending=True, stable=True)
    return blocks.sum(dim=1, keepdim=True).int(), order.int()
