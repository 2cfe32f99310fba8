"""Escapes untrusted text for one-line messages."""

from __future__ import annotations


def escape(text: str, limit: int = 80) -> str:
    """Escapes control and format characters, and shortens the text in the middle to `limit` characters."""
    if len(text) > limit:
        half = (limit - 3) // 2
        text = f"{text[:half]}...{text[-half:]}"
    return escape_controls(text)


def escape_controls(text: str) -> str:
    """Escapes control characters, which could move a terminal's cursor."""
    return text if text.isprintable() else "".join(map(_escape_character, text))


def _escape_character(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode()
