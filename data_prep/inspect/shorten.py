"""Shortens dataset texts for display."""

from __future__ import annotations


def shorten(text: str, max_length: int) -> str:
    """At most `max_length` characters, ending in an ellipsis if some are cut."""
    return text if len(text) <= max_length else text[: max_length - 1] + "…"
