"""Requests and results between the server loop and its sampling engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch


@dataclass(frozen=True)
class SamplingJob:
    """A prompt and the number of responses to sample; response i uses the random seed `seed + i`."""

    prompt: torch.Tensor  # [P] int64, placeholders expanded
    features: torch.Tensor  # [image tokens, H]
    grid: torch.Tensor  # [images, 3] int64
    n: int
    seed: int
    temperature: float
    top_p: float
    max_tokens: int
    end_ids: tuple[int, ...]


@dataclass(frozen=True)
class Completion:
    """One response as the engine sampled it."""

    tokens: Sequence[int]  # ends with an end token unless truncated
    logprobs: Sequence[float]  # of the distribution sampled from


class Backend(Protocol):
    """The engine that the server loop runs."""

    @property
    def facts(self) -> dict[str, Any]:
        """The engine's `dtype` and `max_length`."""
        ...

    @property
    def busy(self) -> bool: ...

    def begin(self, banned: Sequence[int]) -> None:
        """Starts a weight update and sets the ids that must never be sampled. Discards all state of an
        interrupted update."""
        ...

    def load(self, name: str, tensor: torch.Tensor) -> str:
        """Loads a weight by its published name; returns the checksum of the loaded tensor."""
        ...

    def finish(self) -> None: ...

    def add(self, job_id: str, job: SamplingJob) -> None: ...

    def abort(self, job_ids: Sequence[str]) -> None: ...

    def step(self) -> Iterator[tuple[str, Sequence[Completion]] | None]:
        """Runs one engine step. Yields each completed job, and None where tokens were sampled."""
        ...
