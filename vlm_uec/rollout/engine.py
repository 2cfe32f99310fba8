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
    sampling: Sampling
    first_index: int = 0
    source: Source = "regular"


@dataclass(frozen=True)
class Progress:
    """Where a rollout stands, for the display."""

    finished: int
    total: int
    tokens: int


OnProgress = Callable[[Progress], None]
# Sees every finished group. After a requested one it may ask for more responses to the same prompt, no longer
# than the longest that were requested.
FollowUp = Callable[[Group], Request | None]


def nothing_more(group: Group) -> None:
    """The `FollowUp` that asks for nothing."""


class RolloutEngine(Protocol):
    """Samples responses to requests, and to those that follow from them, in one pool."""

    def generate(
        self,
        requests: Sequence[Request],
        key: StreamKey,
        on_progress: OnProgress,
        follow_up: FollowUp = nothing_more,
    ) -> list[Group]:
        """One group a request, in their order; then one a follow-up, in the order of what they follow."""
        ...
