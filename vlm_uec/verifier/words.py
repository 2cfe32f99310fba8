"""Truths that are no values: words, and labels such as angles and segments (policy, rules 7 and 8)."""

from __future__ import annotations

import re

from vlm_uec.verifier.normalise import as_text, known_text, normalise

# Ways to say the one verbal answer that geometry data sets have. Each is compared whole, never in part.
_UNDECIDED_PHRASES = """
not enough information
not enough info
not enough information given
not enough information is given
there is not enough information
not enough information to determine
not enough information to determine the answer
not enough information to solve
insufficient information
not enough data
insufficient data
cannot determine
cannot be determined
can not be determined
can't be determined
it cannot be determined
cannot be determined from the information given
cannot be determined from the given information
it cannot be determined from the information given
"""
_UNDECIDED = frozenset(_UNDECIDED_PHRASES.strip().splitlines())
_MARKS = re.compile(
    r"\\(?:angle|overline|triangle)(?![A-Za-z])|\b(?:angles?|segments?|lines?|sides?|and|overline)\b|[,&;{}]"
)
_MARKED = re.compile(r"\\angle|\bangles?\b|\bsegments?\b|\\overline")
_SEGMENTS = re.compile(r"[A-Z]{2,3}(?: and [A-Z]{2,3})+")
_LABEL = re.compile(r"[A-Z]{1,3}'?|[0-9]{1,2}")
_SPACED_LETTERS = re.compile(r"(?<![A-Za-z])[A-Z](?: [A-Z]){1,3}(?![A-Za-z])")
_SYMMETRIC = re.compile(
    r"\\(cong|sim|parallel|perp)(?![A-Za-z])|(?: is| are)? (congruent|similar|parallel|perpendicular) to "
)
_CANONICAL = {"congruent": "cong", "similar": "sim", "perpendicular": "perp"}


def same_words(answer: str, truth: str) -> bool:
    """Equal as text, as labels in any order, as a symmetric relation of labels, or both undecided."""
    written, wanted = as_text(answer), known_text(truth)
    if written == wanted:
        return written != ""
    if wanted in _UNDECIDED:
        return written in _UNDECIDED
    relation = _relation(truth)
    if relation is not None:
        return _relation(answer) == relation
    return _is_marked(truth) and _labels(answer) == _labels(truth)


def are_labels(truth: str) -> bool:
    """Labels or a relation of labels, which must not be read as numbers or products."""
    return _relation(truth) is not None or (_is_marked(truth) and _labels(truth) is not None)


def _is_marked(truth: str) -> bool:
    """Whether the truth says that its parts are labels, which have no order; `3 and 5` are numbers."""
    plain = normalise(truth)
    return _MARKED.search(plain) is not None or _SEGMENTS.fullmatch(_join_letters(plain)) is not None


def _labels(text: str) -> tuple[str, ...] | None:
    """`A D and B E`, `angles 2, 3, 6, and 7`: two labels or more."""
    found = [label.strip() for label in _MARKS.sub(",", _join_letters(normalise(text))).split(",")]
    labels = [label for label in found if label]
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    return tuple(sorted(labels))


def _join_letters(text: str) -> str:
    return _SPACED_LETTERS.sub(lambda match: match[0].replace(" ", ""), text)


def _relation(text: str) -> tuple[str, ...] | None:
    r"""`\angle 8 \cong \angle 2` says the same as `\angle 2 \cong \angle 8`."""
    plain = normalise(text)
    sides = _SYMMETRIC.split(plain)
    if len(sides) != 4:
        return None
    sign = sides[1] or sides[2]
    labels = sorted(
        as_text(re.sub(r"\bangle\b", r"\\angle", side.replace(r"\angle", "angle")))
        for side in (sides[0], sides[3])
    )
    return (_CANONICAL.get(sign, sign), *labels)
