"""How much of a text a page has room for, counted in bytes as they are written."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from vlm_uec.webpage.html import text


def written(whole: str) -> int:
    """Bytes of the text on a page, escapes included."""
    return len(text(whole).encode("utf-8", "replace"))


def cut(whole: str, most: int) -> str:
    """The text, or its beginning and its end in `most` bytes with the number of characters left out between.

    Both ends, as a response's answer comes last.
    """
    if len(whole) <= most and written(whole) <= most:
        return whole

    def ends(kept: int) -> tuple[str, str]:
        return whole[: kept - kept // 2], whole[len(whole) - kept // 2 :]

    numbers = range(1, min(len(whole), most) + 1)
    kept = bisect_right(numbers, most, key=lambda kept: written("".join(ends(kept))))
    beginning, end = ends(kept)
    return f"{beginning} [… {len(whole) - kept:,} characters left out …] {end}"


def fair_share(sizes: Sequence[int], total: int, most: int) -> int:
    """The largest share, `most` at most, so that sizes cut down to it add up to `total` at most."""
    left = total
    for place, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - place)
        if size > share or size > most:
            return min(share, most)
        left -= size
    return most
