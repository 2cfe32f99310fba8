"""The interface of the policies that the learner scores and trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from vlm_uec.model.packing import PackedBatch
from vlm_uec.types import EncodedPrompt


class ReferencePolicy(Protocol):
    """A frozen policy; every rank calls every method."""

    def score(self, batch: PackedBatch) -> torch.Tensor:
        """Log-probs [T], no gradient."""
        ...

    def abandon_pass(self) -> None:
        """Releases the weights that an interrupted pass gathered."""
        ...


class TrainablePolicy(Protocol):
    """A policy and its optimizer; every rank calls every method."""

    @property
    def lr(self) -> float:
        """Learning rate of the last step."""
        ...

    @property
    def tower_frozen(self) -> bool:
        """Whether the policy has a vision tower that is not trained."""
        ...

    def frozen_features(
        self, names: Sequence[str], encode: Callable[[str], EncodedPrompt]
    ) -> dict[str, torch.Tensor]:
        """Image features of prompts from a frozen tower, on the CPU."""
        ...

    def score(self, batch: PackedBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probs [T] and entropies [T], no gradient."""
        ...

    def forward(self, batch: PackedBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probs [T] and entropies [T] with gradient."""
        ...

    def backward(self, loss: torch.Tensor) -> None:
        """Accumulates gradients, averaged over the ranks."""
        ...

    def step(self) -> float | None:
        """One optimizer step; the gradient norm, or None if it is not finite and the step was skipped."""
        ...

    def discard(self) -> None:
        """Drops the accumulated gradients."""
        ...

    def abandon_pass(self) -> None:
        """Drops the accumulated gradients and releases the weights that an interrupted pass gathered."""
        ...
