"""Limits on the text of a page, in bytes after escaping."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from vlm_uec.webpage.html import text


def escaped_size(string: str) -> int:
    """Size in bytes after HTML escaping."""
    return len(text(string).encode("utf-8", "replace"))


def cut(string: str, max_bytes: int) -> str:
    """The text; if it exceeds `max_bytes`, its beginning and end with the number of omitted characters.

    The end is kept because a response states its answer last. The note does not count.
    """
    if len(string) <= max_bytes and escaped_size(string) <= max_bytes:
        return string

    def ends(kept: int) -> tuple[str, str]:
        return string[: kept - kept // 2], string[len(string) - kept // 2 :]

    numbers = range(1, min(len(string), max_bytes) + 1)
    kept = bisect_right(numbers, max_bytes, key=lambda kept: escaped_size("".join(ends(kept))))
    beginning, end = ends(kept)
    return f"{beginning} [… {len(string) - kept:,} characters omitted …] {end}"


def fair_share(sizes: Sequence[int], total: int, limit: int) -> int:
    """The largest share, at most `limit`, such that sizes truncated to it add up to at most `total`."""
    remaining = total
    for index, size in enumerate(sorted(sizes)):
        share = remaining // (len(sizes) - index)
        if size > share or size > limit:
            return min(share, limit)
        remaining -= size
    return limit
