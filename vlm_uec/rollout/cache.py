"""The key/value cache of a fixed pool of decode slots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache


@dataclass(frozen=True)
class PromptCache:
    """A prefilled prompt: keys and values of every layer [layers][KV heads, P, D], last logits [1, V]."""

    keys: tuple[torch.Tensor, ...]
    values: tuple[torch.Tensor, ...]
    logits: torch.Tensor
    next_position: int

    @classmethod
    def of(cls, cache: DynamicCache, logits: torch.Tensor, next_position: int) -> PromptCache:
        layers: list[Any] = cache.layers
        keys = tuple(layer.keys[0] for layer in layers)
        values = tuple(layer.values[0] for layer in layers)
        return cls(keys, values, logits, next_position)

    @property
    def length(self) -> int:
        return self.keys[0].shape[1]


class SlotCache:
    """S rows of C positions a layer, each row filled to a length of its own.

    Stands in for a transformers cache: attention layers call `update` and read everything back, the
    mask hides what lies beyond a row's length. Sizes never change, so a row's numbers do not depend on
    how many other rows are alive.
    """

    def __init__(self, slots: int, capacity: int, like: PromptCache) -> None:
        shape = (slots, like.keys[0].shape[0], capacity, like.keys[0].shape[2])
        device, dtype = like.keys[0].device, like.keys[0].dtype
        self.keys = [torch.zeros(shape, device=device, dtype=dtype) for _ in like.keys]
        self.values = [torch.zeros(shape, device=device, dtype=dtype) for _ in like.keys]
        self.mask = torch.zeros(slots, 1, 1, capacity, dtype=torch.bool, device=device)
        self.mask[..., 0] = True  # a row that sees nothing would be NaN
        self.lengths = torch.zeros(slots, dtype=torch.int64, device=device)
        self._rows = torch.arange(slots, device=device)

    def admit(self, slot: int, prompt: PromptCache) -> None:
        """Gives the slot to a response of this prompt."""
        for layer, (keys, values) in enumerate(zip(prompt.keys, prompt.values, strict=True)):
            self.keys[layer][slot, :, : prompt.length] = keys
            self.values[layer][slot, :, : prompt.length] = values
        self.lengths[slot] = prompt.length
        self.mask[slot, ..., : prompt.length] = True
        self.mask[slot, ..., prompt.length :] = False

    def open_position(self) -> None:
        """Makes every row's next position visible, before the decode step that writes it."""
        self.mask[self._rows, 0, 0, self.lengths] = True

    def close_position(self, alive: torch.Tensor) -> None:
        """Counts the written position of rows alive ([S] bool); idle rows overwrite the same place."""
        self.lengths += alive

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Writes one position a row (keys, values [S, KV heads, 1, D]); returns all C positions."""
        self.keys[layer][self._rows, :, self.lengths] = keys[:, :, 0]
        self.values[layer][self._rows, :, self.lengths] = values[:, :, 0]
        return self.keys[layer], self.values[layer]
