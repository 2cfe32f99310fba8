"""Matching of brackets and splitting at separators outside brackets."""

from __future__ import annotations

from vlm_uec.verifier.arithmetic import AmbiguousAnswerError

OPEN, CLOSE = frozenset("([{"), frozenset(")]}")


def closing_index(text: str) -> int:
    """Index at which the bracket that opens `text` closes, -1 if it never does."""
    depth = 0
    for index, char in enumerate(text):
        depth += (char in OPEN) - (char in CLOSE)
        if depth <= 0:
            return index
    return -1


def strip_brackets(text: str) -> tuple[str, str]:
    """The opening bracket that encloses all of `text` ("" if none does), and the text inside."""
    bare = text.strip()
    if bare.startswith(r"\{") and bare.endswith(r"\}"):
        return "{", bare[2:-2]
    if bare[:1] in OPEN and bare[-1:] in CLOSE and closing_index(bare) == len(bare) - 1:
        if bare[0] + bare[-1] not in ("()", "[]", "{}"):
            raise AmbiguousAnswerError("a half-open interval is not a single value")
        return bare[0], bare[1:-1]
    return "", bare


def split_outside_brackets(text: str, separators: str) -> list[str]:
    """Split `text` at separators outside brackets."""
    if not any(separator in text for separator in separators):
        return [text]
    pieces, start, depth = [], 0, 0
    for index, char in enumerate(text):
        depth += (char in OPEN) - (char in CLOSE)
        if depth == 0 and char in separators:
            pieces.append(text[start:index])
            start = index + 1
    return [*pieces, text[start:]]
