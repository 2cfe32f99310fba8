"""What a rollout engine is asked and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from vlm_uec.types import EncodedPrompt, Group, Response, Source


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
    """Responses to one prompt, one for each of `indices`."""

    prompt: EncodedPrompt
    indices: Sequence[int]
    sampling: Sampling
    source: Source = "regular"


@dataclass(frozen=True)
class RolloutShape:
    """What a rollout's requests come to: known before their prompts are encoded."""

    responses: int
    group: int  # responses of the smallest request
    prompt_tokens: int  # of the longest prompt
    max_tokens: int

    @classmethod
    def of(cls, requests: Sequence[Request]) -> RolloutShape:
        return cls(
            responses=sum(len(request.indices) for request in requests),
            group=min(len(request.indices) for request in requests),
            prompt_tokens=max(request.prompt.length for request in requests),
            max_tokens=max(request.sampling.max_tokens for request in requests),
        )


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

    def stream(
        self, requests: Iterable[Request], shape: RolloutShape, key: StreamKey, on_progress: OnProgress
    ) -> Iterator[Response]:
        """Every response as it ends. A request is taken when there is room for it, so that the prompts of a
        large evaluation need not be in memory at a time."""
        ...


class RequestState:
    """A request, and which of its responses are there."""

    def __init__(self, request: Request, place: int, *, is_follow_up: bool = False) -> None:
        """`place`: among the requests; a follow-up has that of what it follows."""
        self.request, self.place, self.is_follow_up = request, place, is_follow_up
        self.responses: dict[int, Response] = {}

    @property
    def number(self) -> tuple[bool, int]:
        """Its place in what `generate` returns: requests', then follow-ups', as what they follow."""
        return self.is_follow_up, self.place

    @property
    def complete(self) -> bool:
        return len(self.responses) == len(self.request.indices)

    def group(self) -> Group:
        """In index order."""
        return Group(self.request.prompt, tuple(self.responses[index] for index in sorted(self.responses)))
