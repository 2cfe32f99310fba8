"""A request on its way through a rollout, whichever engine samples it."""

from __future__ import annotations

from vlm_uec.rollout.engine import Request
from vlm_uec.types import Group, Response


class Asked:
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
