"""Optimizer states in host memory for the length of a rollout: room for keys and values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Parking:
    """Host buffers, made once: pinned memory is slow to get."""

    def __init__(self) -> None:
        self._places: dict[int, torch.Tensor] = {}

    @contextmanager
    def parked(self, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Moves AdamW's moments out, and back at the end; both tensors stay the objects they are."""
        moments = [
            value
            for state in optimizer.state.values()
            for value in state.values()
            if isinstance(value, torch.Tensor) and value.dim() > 0
        ]
        devices = [moment.device for moment in moments]
        for number, moment in enumerate(moments):
            moment.data = self._place(number, moment).copy_(moment, non_blocking=True)
        if any(device.type == "cuda" for device in devices):
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
        try:
            yield
        finally:
            for moment, device in zip(moments, devices, strict=True):
                # A copy on a CPU, too: the place is used again.
                moment.data = torch.empty_like(moment, device=device).copy_(moment, non_blocking=True)
            if any(device.type == "cuda" for device in devices):
                torch.cuda.synchronize()

    def _place(self, number: int, like: torch.Tensor) -> torch.Tensor:
        place = self._places.get(number)
        if place is None or place.shape != like.shape or place.dtype != like.dtype:
            place = torch.empty(like.shape, dtype=like.dtype, pin_memory=like.is_cuda)
            self._places[number] = place
        return place
