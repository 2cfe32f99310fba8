"""A row of the table of counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CountRow:
    """One count with its unit; `bound`: the largest value that is accepted, None if any is."""

    name: str
    value: float
    unit: str
    bound: float | None
