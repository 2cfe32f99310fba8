"""Text that others wrote, as part of a message of one line."""

from __future__ import annotations


def plain(text: str, limit: int = 80) -> str:
    """The text with control and format characters escaped; over `limit` characters, without its middle."""
    if len(text) > limit:
        half = (limit - 3) // 2
        text = f"{text[:half]}...{text[-half:]}"
    return text if text.isprintable() else repr(text)[1:-1]
