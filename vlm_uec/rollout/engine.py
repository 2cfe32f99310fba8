"""The interface of rollout engines: requests, follow-ups, progress, and the state of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from vlm_uec.types import EncodedPrompt, Group, Response, Source


@dataclass(frozen=True)
class Sampling:
    """Sampling parameters. Temperature 0 is greedy."""

    temperature: float
    top_p: float
    max_tokens: int


@dataclass(frozen=True)
class StreamKey:
    """With a problem id and a response index, the key of one response's random numbers."""

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
    """Sizes of a rollout's requests, known before their prompts are encoded."""

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
    """Progress of a rollout, for the display."""

    finished: int
    total: int
    tokens: int


OnProgress = Callable[[Progress], None]
# Called with every finished group. For a requested one it may return a request for more responses to the same
# prompt, with a token limit of at most the largest requested.
FollowUp = Callable[[Group], Request | None]


def nothing_more(group: Group) -> None:
    """The `FollowUp` without follow-ups."""


class RolloutEngine(Protocol):
    """Samples responses to requests and their follow-ups in one pool."""

    def generate(
        self,
        requests: Sequence[Request],
        key: StreamKey,
        on_progress: OnProgress,
        follow_up: FollowUp = nothing_more,
    ) -> list[Group]:
        """One group for each request, in order; then one for each follow-up, in that order."""
        ...

    def stream(
        self, requests: Iterable[Request], shape: RolloutShape, key: StreamKey, on_progress: OnProgress
    ) -> Iterator[Response]:
        """Every response when it ends. Requests are consumed when slots are free, so that the prompts of
        a large evaluation are not all in memory at the same time."""
        ...


class RequestState:
    """A request and its finished responses."""

    def __init__(self, request: Request, request_index: int, *, is_follow_up: bool = False) -> None:
        """`request_index`: index of the request; a follow-up has that of the request it follows."""
        self.request, self.request_index, self.is_follow_up = request, request_index, is_follow_up
        self.responses: dict[int, Response] = {}

    @property
    def number(self) -> tuple[bool, int]:
        """Sort key of the group in what `generate` returns: requests first, then follow-ups."""
        return self.is_follow_up, self.request_index

    @property
    def complete(self) -> bool:
        return len(self.responses) == len(self.request.indices)

    def group(self) -> Group:
        """The finished group, in index order."""
        return Group(self.request.prompt, tuple(self.responses[index] for index in sorted(self.responses)))
