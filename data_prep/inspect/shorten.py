"""Shortens dataset texts for display."""

from __future__ import annotations


def shorten(text: str, most: int) -> str:
    """At most `most` characters, ending in an ellipsis if some are cut."""
    return text if len(text) <= most else text[: most - 1] + "…"
