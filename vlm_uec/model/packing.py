"""Packed rows: one prompt and its responses, and micro-batches of rows by token budget.

A row lays the prompt down once and every response after it, each response's positions restarting at
the prompt's next M-RoPE position. Where a response sees the prompt and itself, the passes equal those over
separate sequences, at the cost of one prompt instead of G.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from vlm_uec.model.attention_tiles import Span
from vlm_uec.types import EncodedPrompt


@dataclass(frozen=True)
class Row:
    """One prompt and the response tokens ([R] int64 each) scored under it."""

    prompt: EncodedPrompt
    responses: tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class PackedBatch:
    """Rows side by side in one sequence of L positions, T response tokens to score."""

    input_ids: torch.Tensor  # [L] int64
    position_ids: torch.Tensor  # [3, L] int64
    pixel_values: torch.Tensor  # [N, 1176] float32
    image_grid_thw: torch.Tensor  # [images, 3] int64
    row: torch.Tensor  # [L] int64: which row a position belongs to
    segment: torch.Tensor  # [L] int64: 0 in the prompt, 1.. in the responses
    predictors: torch.Tensor  # [T] int64: the position whose output predicts the target
    targets: torch.Tensor  # [T] int64
    spans: tuple[Span, ...]  # the same layout in numbers: prompts and the read part of responses
    features: torch.Tensor | None = None  # [image tokens, H]: of a frozen tower; patches are empty then

    def to(self, device: torch.device) -> PackedBatch:
        moved: dict[str, Any] = {
            name: value.to(device) for name, value in vars(self).items() if isinstance(value, torch.Tensor)
        }
        return replace(self, **moved)


def pack(rows: Sequence[Row], features: Sequence[torch.Tensor] | None = None) -> PackedBatch:
    """Lays rows side by side; targets come in the order of rows and responses given.

    `features`: each row's picture features, where a frozen tower's are known.
    """
    parts = [_pack_row(row, index) for index, row in enumerate(rows)]
    offsets = _offsets([len(part.input_ids) for part in parts])
    return PackedBatch(
        input_ids=torch.cat([part.input_ids for part in parts]),
        position_ids=torch.cat([part.position_ids for part in parts], dim=1),
        pixel_values=torch.cat([part.pixel_values[: None if features is None else 0] for part in parts]),
        image_grid_thw=torch.cat([part.image_grid_thw for part in parts]),
        row=torch.cat([part.row for part in parts]),
        segment=torch.cat([part.segment for part in parts]),
        predictors=torch.cat([part.predictors + at for part, at in zip(parts, offsets, strict=True)]),
        targets=torch.cat([part.targets for part in parts]),
        spans=tuple(span.moved(at) for part, at in zip(parts, offsets, strict=True) for span in part.spans),
        features=None if features is None else torch.cat(list(features)),
    )


def _pack_row(row: Row, index: int) -> PackedBatch:
    prompt = row.prompt
    ids, position_ids = [prompt.input_ids], [prompt.position_ids]
    segments = [torch.zeros(prompt.length, dtype=torch.int64)]
    predictors: list[torch.Tensor] = []
    spans = [Span(0, prompt.length)]
    start = prompt.length
    for number, tokens in enumerate(row.responses, 1):
        read = len(tokens) - 1
        ids.append(tokens[:read])
        position_ids.append((torch.arange(read) + prompt.next_position).expand(3, read))
        segments.append(torch.full((read,), number))
        # The prompt's last position predicts every response's first token.
        predictors.append(torch.cat([torch.tensor([prompt.length - 1]), torch.arange(start, start + read)]))
        spans.append(Span(start, read, prompt_start=0, prompt_length=prompt.length))
        start += read
    return PackedBatch(
        input_ids=torch.cat(ids),
        position_ids=torch.cat(position_ids, dim=1),
        pixel_values=prompt.pixel_values,
        image_grid_thw=prompt.image_grid_thw,
        row=torch.full((start,), index),
        segment=torch.cat(segments),
        predictors=torch.cat(predictors),
        targets=torch.cat(row.responses),
        spans=tuple(spans),
    )


def _offsets(lengths: Sequence[int]) -> list[int]:
    offsets = [0]
    for length in lengths[:-1]:
        offsets.append(offsets[-1] + length)
    return offsets
