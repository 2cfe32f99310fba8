"""What a rollout engine is asked and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from vlm_uec.types import EncodedPrompt, Group, Source


@dataclass(frozen=True)
class Sampling:
    """How responses are drawn. Temperature 0 is greedy."""

    temperature: float
    top_p: float
    max_tokens: int


@dataclass(frozen=True)
class StreamKey:
    """With a problem id and a response index, names one response's stream of random numbers."""

    seed: int
    step: int


@dataclass(frozen=True)
class Request:
    """`count` responses to one prompt, numbered from `first_index`."""

    prompt: EncodedPrompt
    count: int
    first_index: int = 0
    source: Source = "regular"


@dataclass(frozen=True)
class Progress:
    """Where a rollout stands, for the display."""

    finished: int
    total: int
    tokens: int


OnProgress = Callable[[Progress], None]


class RolloutEngine(Protocol):
    """Samples responses; the answer has one group a request, in the order of the requests."""

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, key: StreamKey, on_progress: OnProgress
    ) -> list[Group]: ...
