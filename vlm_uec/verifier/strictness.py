"""Which places of a response may hold its answer: settings on which reasonable people differ (rule 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from vlm_uec.verifier.arguments import InvalidArgument

Thinking = Literal["ignore", "accept"]
Statements = Literal["accept", "boxed_only"]


@dataclass(frozen=True, slots=True)
class Strictness:
    """`thinking`: whether a box inside the thinking counts if no answer follows the thinking.

    `statements`: whether `<answer>` tags and plain statements count, or only boxes.
    Raises InvalidArgument for any other value.
    """

    thinking: Thinking = "ignore"
    statements: Statements = "accept"

    def __post_init__(self) -> None:
        for name, allowed in (("thinking", get_args(Thinking)), ("statements", get_args(Statements))):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in allowed:
                raise InvalidArgument(f"{name} {value!r}: give {' or '.join(map(repr, allowed))}")


DEFAULT = Strictness()
