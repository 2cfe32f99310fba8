"""Soft overlong punishment: the reward falls as a response approaches its length limit."""

from __future__ import annotations


def overlong_penalty(length: int, limit: int, buffer: float) -> float:
    """0 up to limit - buffer tokens, then falling linearly to -1 at the limit.

    DAPO (arXiv 2503.14476), equation 13, "soft overlong punishment", L_max = `limit` and L_cache = `buffer`,
    in tokens. DAPO adds it to rewards of -1 and 1, a range of 2: with rewards of 0 and 1 it counts half.
    Raises ValueError unless 0 < buffer <= limit.
    """
    if not 0 < buffer <= limit:
        raise ValueError(f"overlong buffer {buffer} with limit {limit}: must be 0 < buffer <= limit")
    return -min(1.0, max(0.0, (length - (limit - buffer)) / buffer))
