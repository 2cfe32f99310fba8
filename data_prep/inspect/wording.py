"""Texts of a dataset, made fit to be shown."""

from __future__ import annotations


def shortened(text: str, most: int) -> str:
    """At most `most` characters, the last of which tells that some are missing."""
    return text if len(text) <= most else text[: most - 1] + "…"


def printable(text: str) -> str:
    """Safe for a terminal: control characters, which could move its cursor, are written as escapes."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode()
