"""Offloads optimizer states to host memory during a rollout, to free memory for the key-value cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class StateOffload:
    """Host buffers for optimizer states, allocated once because allocating pinned memory is slow."""

    def __init__(self) -> None:
        self._buffers: dict[int, torch.Tensor] = {}

    @contextmanager
    def offloaded(self, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Moves AdamW's moments to the host, and back on exit; the tensor objects stay the same."""
        moments = [
            value
            for state in optimizer.state.values()
            for value in state.values()
            if isinstance(value, torch.Tensor) and value.dim() > 0
        ]
        devices = [moment.device for moment in moments]
        for number, moment in enumerate(moments):
            moment.data = self._buffer(number, moment).copy_(moment, non_blocking=True)
        if any(device.type == "cuda" for device in devices):
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
        try:
            yield
        finally:
            for moment, device in zip(moments, devices, strict=True):
                # Also copied if the device is a CPU, because the buffer is reused.
                moment.data = torch.empty_like(moment, device=device).copy_(moment, non_blocking=True)
            if any(device.type == "cuda" for device in devices):
                torch.cuda.synchronize()

    def _buffer(self, number: int, like: torch.Tensor) -> torch.Tensor:
        buffer = self._buffers.get(number)
        if buffer is None or buffer.shape != like.shape or buffer.dtype != like.dtype:
            buffer = torch.empty(like.shape, dtype=like.dtype, pin_memory=like.is_cuda)
            self._buffers[number] = buffer
        return buffer
