"""Tiles of a packed batch: sequences of similar lengths that are computed in one attention product.

A packed row of one prompt and G responses has L positions, but the mask allows only a small part of the
L x L pairs. Tiles cover exactly that part, plus a little padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

# Sequences are padded to the tile's longest; shorter than this share of it, a separate tile is cheaper.
MIN_FILL = 0.75


@dataclass(frozen=True)
class Span:
    """Positions start .. start+length-1 of a packed batch; they attend to a prompt and to themselves."""

    start: int
    length: int
    prompt_start: int = 0
    prompt_length: int = 0  # 0: the span is itself a prompt

    def shifted(self, offset: int) -> Span:
        return replace(self, start=self.start + offset, prompt_start=self.prompt_start + offset)


@dataclass(frozen=True)
class Tile:
    """n spans padded to one shape: R queries and C keys each."""

    queries: torch.Tensor  # [n, R] int64: positions in the packed batch; padding repeats position 0
    keys: torch.Tensor  # [n, C] int64
    mask: torch.Tensor  # [n, R, C] bool: keys a query attends to; [1, R, C] if all spans have equal lengths
    unpadded: torch.Tensor | None  # [queries without padding]: indices into [n * R]; None: no padding
    positions: torch.Tensor  # [queries without padding]: positions in the packed batch

    def to(self, device: torch.device) -> Tile:
        unpadded = None if self.unpadded is None else self.unpadded.to(device)
        tensors = (self.queries, self.keys, self.mask, self.positions)
        queries, keys, mask, positions = (tensor.to(device) for tensor in tensors)
        return Tile(queries, keys, mask, unpadded, positions)


def make_tiles(spans: Sequence[Span]) -> list[Tile]:
    """Tiles in which every position is a query exactly once; prompts and responses have separate tiles."""
    return [_make_tile(group) for group in _group_similar([span for span in spans if span.length])]


def _group_similar(spans: Sequence[Span]) -> list[list[Span]]:
    """Groups in which every span has at least MIN_FILL of the longest's queries and keys."""
    groups: list[list[Span]] = []
    for span in sorted(spans, key=lambda span: (span.prompt_length > 0, -span.length, -span.prompt_length)):
        first = groups[-1][0] if groups else None
        if first is None or not _fits(span, first):
            groups.append([])
        groups[-1].append(span)
    return groups


def _fits(span: Span, first: Span) -> bool:
    if (span.prompt_length > 0) != (first.prompt_length > 0):
        return False
    fewer, more = sorted((span.prompt_length + span.length, first.prompt_length + first.length))
    return span.length >= MIN_FILL * first.length and fewer >= MIN_FILL * more


def _make_tile(spans: Sequence[Span]) -> Tile:
    start, length, prompt_start, prompt_length = torch.tensor(
        [(span.start, span.length, span.prompt_start, span.prompt_length) for span in spans]
    ).T[..., None]
    query, prompt = torch.arange(int(length.max())), torch.arange(int(prompt_length.max()))
    is_query, in_prompt = query < length, prompt < prompt_length
    queries = torch.where(is_query, start + query, 0)
    keys = torch.cat([torch.where(in_prompt, prompt_start + prompt, 0), queries], dim=1)
    causal = (query[None, :] <= query[:, None]) & is_query[:, None, :]
    mask = torch.cat([in_prompt[:, None, :].expand(-1, len(query), -1), causal], dim=2)
    if len({(span.length, span.prompt_length) for span in spans}) == 1:
        return Tile(queries, keys, mask[:1], None, queries.flatten())
    return Tile(queries, keys, mask, is_query.flatten().nonzero()[:, 0], queries[is_query])
