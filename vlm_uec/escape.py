"""Text that others wrote, as part of a message of one line."""

from __future__ import annotations


def escape(text: str, limit: int = 80) -> str:
    """The text with control and format characters escaped; over `limit` characters, without its middle."""
    if len(text) > limit:
        half = (limit - 3) // 2
        text = f"{text[:half]}...{text[-half:]}"
    return escaped(text)


def escaped(text: str) -> str:
    """Safe for a terminal: control characters, which could move its cursor, are written as escapes."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode()
