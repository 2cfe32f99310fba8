"""Where brackets close, and separators outside of them."""

from __future__ import annotations

from vlm_uec.verifier.arithmetic import SeveralError

OPEN, CLOSE = frozenset("([{"), frozenset(")]}")


def closing(text: str) -> int:
    depth = 0
    for place, char in enumerate(text):
        depth += (char in OPEN) - (char in CLOSE)
        if depth <= 0:
            return place
    return -1


def unbracketed(text: str) -> tuple[str, str]:
    bare = text.strip()
    if bare.startswith(r"\{") and bare.endswith(r"\}"):
        return "{", bare[2:-2]
    if bare[:1] in OPEN and bare[-1:] in CLOSE and closing(bare) == len(bare) - 1:
        if bare[0] + bare[-1] not in ("()", "[]", "{}"):
            raise SeveralError("a half-open interval is no single value")
        return bare[0], bare[1:-1]
    return "", bare


def split(text: str, separators: str) -> list[str]:
    """`text` at separators outside brackets."""
    if not any(separator in text for separator in separators):
        return [text]
    pieces, start, depth = [], 0, 0
    for place, char in enumerate(text):
        depth += (char in OPEN) - (char in CLOSE)
        if depth == 0 and char in separators:
            pieces.append(text[start:place])
            start = place + 1
    return [*pieces, text[start:]]
