"""Packed rows: one prompt and its responses, and micro-batches of rows by token budget.

A row contains the prompt once, followed by every response; each response's positions restart at the
prompt's next M-RoPE position. Because a response attends only to the prompt and itself, the results equal
those of separate sequences, at the cost of one prompt instead of G.
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
    """One prompt and its responses' tokens ([R] int64 each)."""

    prompt: EncodedPrompt
    responses: tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class PackedBatch:
    """Rows concatenated to one sequence of L positions, with T response tokens to score."""

    input_ids: torch.Tensor  # [L] int64
    position_ids: torch.Tensor  # [3, L] int64
    pixel_values: torch.Tensor  # [N, 1176] float32
    image_grid_thw: torch.Tensor  # [images, 3] int64
    row: torch.Tensor  # [L] int64: index of the position's row
    segment: torch.Tensor  # [L] int64: 0 in the prompt, 1.. in the responses
    predictors: torch.Tensor  # [T] int64: the position whose output predicts the target
    targets: torch.Tensor  # [T] int64
    spans: tuple[Span, ...]  # the same layout as spans: prompts, and responses without their last token
    features: torch.Tensor | None = None  # [image tokens, H] of a frozen tower, instead of patches

    def to(self, device: torch.device) -> PackedBatch:
        tensors: dict[str, Any] = {
            name: value.to(device) for name, value in vars(self).items() if isinstance(value, torch.Tensor)
        }
        return replace(self, **tensors)


def pack(rows: Sequence[Row], features: Sequence[torch.Tensor] | None = None) -> PackedBatch:
    """Concatenates rows; targets are in the order of rows and responses.

    `features`: each row's image features, if the frozen tower's outputs are already computed.
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
        predictors=torch.cat([part.predictors + offset for part, offset in zip(parts, offsets, strict=True)]),
        targets=torch.cat([part.targets for part in parts]),
        spans=tuple(
            span.shifted(offset) for part, offset in zip(parts, offsets, strict=True) for span in part.spans
        ),
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
        length = len(tokens) - 1  # the last token is only a target
        ids.append(tokens[:length])
        position_ids.append((torch.arange(length) + prompt.next_position).expand(3, length))
        segments.append(torch.full((length,), number))
        # The prompt's last position predicts every response's first token.
        predictors.append(torch.cat([torch.tensor([prompt.length - 1]), torch.arange(start, start + length)]))
        spans.append(Span(start, length, prompt_start=0, prompt_length=prompt.length))
        start += length
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
