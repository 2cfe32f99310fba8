"""Escapes untrusted text for one-line messages."""

from __future__ import annotations


def escape(text: str, limit: int = 80) -> str:
    """The text with control and format characters escaped, shortened in the middle to `limit` characters."""
    if len(text) > limit:
        half = (limit - 3) // 2
        text = f"{text[:half]}...{text[-half:]}"
    return escaped(text)


def escaped(text: str) -> str:
    """The text with control characters, which could move a terminal's cursor, written as escapes."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode()
