"""What the server's loop asks of an engine, and what that answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch


@dataclass(frozen=True)
class Order:
    """A prompt and how many responses are to be drawn; their random numbers are of seed, seed + 1, ..."""

    prompt: torch.Tensor  # [P] int64, placeholders expanded
    features: torch.Tensor  # [image tokens, H]
    grid: torch.Tensor  # [images, 3] int64
    n: int
    seed: int
    temperature: float
    top_p: float
    max_tokens: int
    ends: tuple[int, ...]


@dataclass(frozen=True)
class Drawn:
    """One response as the engine drew it."""

    tokens: Sequence[int]  # ends with the end token unless cut off
    logprobs: Sequence[float]  # of the distribution sampled from


class Backend(Protocol):
    """What the loop asks of an engine. Tickets name orders."""

    @property
    def facts(self) -> dict[str, Any]:
        """`dtype` and `max_length` of what it can do."""
        ...

    @property
    def busy(self) -> bool: ...

    def begin(self, banned: Sequence[int]) -> None:
        """Weights are about to come, and ids that must never be drawn. An earlier push may have been cut off
        anywhere: nothing of it may be left."""
        ...

    def load(self, name: str, tensor: torch.Tensor) -> str:
        """Takes a weight under its published name; the checksum of what was loaded."""
        ...

    def finish(self) -> None: ...

    def add(self, ticket: str, order: Order) -> None: ...

    def abort(self, tickets: Sequence[str]) -> None: ...

    def step(self) -> Iterator[tuple[str, Sequence[Drawn]] | None]:
        """Some work; the orders that are done with it. None where tokens were drawn, done or not."""
        ...
