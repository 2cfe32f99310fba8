"""The policy's attention functions, registered with transformers' attention interface.

The text model passes its attention mask argument unchanged to the attention function. Here that argument is
a callable that computes attention: over packed rows (`TiledAttention`, `FlexAttention`), or over one prompt
whose keys and values are kept (`PrefillAttention`). Segments (windows, images) of the vision tower that have
equal length share one call, instead of one call per window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from vlm_uec.model.attention_tiles import Tile, make_tiles
from vlm_uec.model.block_mask import packed_block_mask
from vlm_uec.model.packing import PackedBatch

TEXT = "vlm_uec"
# transformers passes the full sequence with segment boundaries if the name contains "flash".
VISION = "vlm_uec_flash"


class RowAttention(Protocol):
    """Attention over one row of L positions: queries [H, L, D], keys and values [KV heads, L, D]."""

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> torch.Tensor:
        """Outputs [L, H, D]."""
        ...


def install_attention(text: Any, tower: Any | None) -> None:
    """Makes a model's text and vision layers use the attention functions of this module."""
    AttentionInterface.register(TEXT, _attend_text)
    AttentionInterface.register(VISION, _attend_segments)
    # For callers that let transformers create the mask.
    AttentionMaskInterface.register(TEXT, sdpa_mask)
    text.config._attn_implementation = TEXT
    if tower is not None:
        tower.config._attn_implementation = VISION


def packed_attention(batch: PackedBatch) -> RowAttention:
    """The attention over packed rows that is fastest on the batch's device."""
    if batch.input_ids.is_cuda:
        return FlexAttention(batch)
    return TiledAttention([tile.to(batch.input_ids.device) for tile in make_tiles(batch.spans)])


class TiledAttention:
    """Attention over packed rows as a few rectangular products; fully masked blocks are not computed.

    A tile contains sequences of similar lengths: prompts, which attend to themselves, or responses, which
    attend to their prompt and themselves. Runs on every device, with gradients.
    """

    def __init__(self, tiles: Sequence[Tile]) -> None:
        self.tiles = tiles
        # Every position is a query exactly once, so sorting by position restores the order.
        self._order = torch.cat([tile.positions for tile in tiles]).argsort()

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> torch.Tensor:
        rows, keys, values = (tensor.transpose(0, 1) for tensor in (query, key, value))
        outputs = [self._tile(tile, rows, keys, values, scale) for tile in self.tiles]
        return torch.cat(outputs).index_select(0, self._order)

    @staticmethod
    def _tile(
        tile: Tile, rows: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float
    ) -> torch.Tensor:
        query = _gather(rows, tile.queries)
        key, value = _gather(keys, tile.keys), _gather(values, tile.keys)
        attended = F.scaled_dot_product_attention(
            query, key, value, attn_mask=tile.mask[:, None], scale=scale, enable_gqa=True
        )
        flat = attended.transpose(1, 2).flatten(0, 1)
        return flat if tile.unpadded is None else flat.index_select(0, tile.unpadded)


def _gather(rows: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Rows [L, H, D] at positions [n, length], as [n, H, length, D]."""
    picked = rows.index_select(0, index.flatten())
    return picked.view(*index.shape, *rows.shape[1:]).transpose(1, 2)


class FlexAttention:
    """Attention over packed rows by one compiled kernel that skips fully masked blocks (CUDA)."""

    def __init__(self, batch: PackedBatch) -> None:
        self._mask = packed_block_mask(batch.spans, batch.row, batch.segment)

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> torch.Tensor:
        attended = _compiled_flex_attention()(
            query[None],
            key[None],
            value[None],
            block_mask=self._mask,
            scale=scale,
            enable_gqa=True,
            # The decoding kernel, chosen for few queries, does not support changing lengths.
            kernel_options={"FORCE_USE_FLEX_ATTENTION": True},
        )
        return attended[0].transpose(0, 1)


@cache
def _compiled_flex_attention() -> Callable[..., torch.Tensor]:
    from torch.nn.attention.flex_attention import flex_attention

    # Lengths differ between micro-batches: one dynamic kernel serves all.
    return torch.compile(flex_attention, dynamic=True)


class PrefillAttention:
    """Causal attention over one prompt; keeps every layer's keys and values [KV heads, P, D]."""

    def __init__(self) -> None:
        self.keys: list[torch.Tensor] = []
        self.values: list[torch.Tensor] = []

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> torch.Tensor:
        self.keys.append(key)
        self.values.append(value)
        attended = F.scaled_dot_product_attention(
            query[None], key[None], value[None], is_causal=True, scale=scale, enable_gqa=True
        )
        return attended[0].transpose(0, 1)


def _attend_text(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention function of the text model: [1, H, L, D] to [1, L, H, D]."""
    if attention_mask is None or isinstance(attention_mask, torch.Tensor):
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    return attention_mask(query[0], key[0], value[0], options["scaling"])[None], None


def _attend_segments(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    *,
    scaling: float,
    cu_seq_lens_q: torch.Tensor,
    max_length_q: int,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention function of the vision tower: segments of [1, H, N, D] attend to themselves; [1, N, H, D]."""
    half = query.dtype in (torch.bfloat16, torch.float16)  # the only types the kernel supports
    if query.is_cuda and half and (varlen := _varlen_attention()) is not None:
        q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
        bounds = cu_seq_lens_q.to(torch.int32)
        return varlen(q, k, v, bounds, bounds, max_length_q, max_length_q, scale=scaling)[None], None
    return segment_attention(query[0], key[0], value[0], cu_seq_lens_q.tolist(), scaling)[None], None


@cache
def _varlen_attention() -> Callable[..., Any] | None:
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn


def segment_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: Sequence[int], scale: float
) -> torch.Tensor:
    """Attention [N, H, D] within segments [bounds[i], bounds[i + 1]) of [H, N, D].

    Segments of equal length share a call.
    """
    by_length: dict[int, list[int]] = {}
    for start, end in pairwise(bounds):
        by_length.setdefault(end - start, []).append(start)
    outputs, positions = [], []
    for length, starts in by_length.items():
        index = torch.tensor(starts, device=query.device)[:, None] + torch.arange(length, device=query.device)
        q, k, v = (_gather(tensor.transpose(0, 1), index) for tensor in (query, key, value))
        attended = F.scaled_dot_product_attention(q, k, v, scale=scale)
        outputs.append(attended.transpose(1, 2).flatten(0, 1))
        positions.append(index.flatten())
    return torch.cat(outputs).index_select(0, torch.cat(positions).argsort())
