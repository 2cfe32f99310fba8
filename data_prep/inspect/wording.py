"""Texts of a dataset, made fit to be shown."""

from __future__ import annotations


def shortened(text: str, most: int) -> str:
    """At most `most` characters, the last of which tells that some are missing."""
    return text if len(text) <= most else text[: most - 1] + "…"
