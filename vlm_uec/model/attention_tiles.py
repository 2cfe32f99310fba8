"""Rectangles of a packed batch: sequences of similar lengths that one attention product takes together.

A packed row of one prompt and G responses has L positions, but only a small part of the L x L pairs see each
other. Tiles cover exactly that part, but for a little padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

# A tile's shorter sequences are padded to its longest; beyond this share a tile of its own is cheaper.
MIN_FILL = 0.75


@dataclass(frozen=True)
class Span:
    """Positions start .. start+length-1 of a packed batch, whose keys begin with those of a prompt."""

    start: int
    length: int
    prompt_start: int = 0
    prompt_length: int = 0  # 0: the span is itself a prompt

    def moved(self, places: int) -> Span:
        return replace(self, start=self.start + places, prompt_start=self.prompt_start + places)


@dataclass(frozen=True)
class Tile:
    """n spans padded to one shape: R queries and C keys each."""

    queries: torch.Tensor  # [n, R] int64: places in the packed batch; padding repeats place 0
    keys: torch.Tensor  # [n, C] int64
    mask: torch.Tensor  # [n, R, C] bool: what a query sees; [1, R, C] where all spans are alike
    filled: torch.Tensor | None  # [queries that are no padding]: places in [n * R]; None: all are
    places: torch.Tensor  # [queries that are no padding]: places in the packed batch

    def to(self, device: torch.device) -> Tile:
        filled = None if self.filled is None else self.filled.to(device)
        tensors = (self.queries, self.keys, self.mask, self.places)
        queries, keys, mask, places = (tensor.to(device) for tensor in tensors)
        return Tile(queries, keys, mask, filled, places)


def tiles_of(spans: Sequence[Span]) -> list[Tile]:
    """Tiles that hold every position of the spans once as a query; prompts and responses never share one."""
    return [_tile(group) for group in _similar([span for span in spans if span.length])]


def _similar(spans: Sequence[Span]) -> list[list[Span]]:
    """Groups whose every member fills at least MIN_FILL of the longest, in queries and in keys."""
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


def _tile(spans: Sequence[Span]) -> Tile:
    start, length, prompt_start, prompt_length = torch.tensor(
        [(span.start, span.length, span.prompt_start, span.prompt_length) for span in spans]
    ).T[..., None]
    query, prompt = torch.arange(int(length.max())), torch.arange(int(prompt_length.max()))
    written, readable = query < length, prompt < prompt_length
    queries = torch.where(written, start + query, 0)
    keys = torch.cat([torch.where(readable, prompt_start + prompt, 0), queries], dim=1)
    causal = (query[None, :] <= query[:, None]) & written[:, None, :]
    seen = torch.cat([readable[:, None, :].expand(-1, len(query), -1), causal], dim=2)
    if len({(span.length, span.prompt_length) for span in spans}) == 1:
        return Tile(queries, keys, seen[:1], None, queries.flatten())
    return Tile(queries, keys, seen, written.flatten().nonzero()[:, 0], queries[written])
