"""Truths that are not values: words, and labels such as angles and segments (policy, rules 7 and 8)."""

from __future__ import annotations

import re

from vlm_uec.verifier.normalise import as_text, cached_as_text, normalise

# Phrases for the only verbal answer in geometry data sets. Each is compared as a whole.
_UNDETERMINED_PHRASES = """
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
_UNDETERMINED = frozenset(_UNDETERMINED_PHRASES.strip().splitlines())
_LABEL_MARKERS = re.compile(
    r"\\(?:angle|overline|triangle)(?![A-Za-z])|\b(?:angles?|segments?|lines?|sides?|and|overline)\b|[,&;{}]"
)
_LABEL_PREFIX = re.compile(r"\\angle|\bangles?\b|\bsegments?\b|\\overline")
_SEGMENTS = re.compile(r"[A-Z]{2,3}(?: and [A-Z]{2,3})+")
_LABEL = re.compile(r"[A-Z]{1,3}'?|[0-9]{1,2}")
_SPACED_LETTERS = re.compile(r"(?<![A-Za-z])[A-Z](?: [A-Z]){1,3}(?![A-Za-z])")
_SYMMETRIC = re.compile(
    r"\\(cong|sim|parallel|perp)(?![A-Za-z])|(?: is| are)? (congruent|similar|parallel|perpendicular) to "
)
_CANONICAL = {"congruent": "cong", "similar": "sim", "perpendicular": "perp"}


def words_match(answer: str, truth: str) -> bool:
    """Equal as text, as labels in any order, as a symmetric relation of labels, or both undetermined."""
    answer_text, truth_text = as_text(answer), cached_as_text(truth)
    if answer_text == truth_text:
        return answer_text != ""
    if truth_text in _UNDETERMINED:
        return answer_text in _UNDETERMINED
    relation = _symmetric_relation(truth)
    if relation is not None:
        return _symmetric_relation(answer) == relation
    return _has_label_markers(truth) and _labels(answer) == _labels(truth)


def are_labels(truth: str) -> bool:
    """Whether the truth is labels or a relation of labels, which are neither numbers nor products."""
    return _symmetric_relation(truth) is not None or (
        _has_label_markers(truth) and _labels(truth) is not None
    )


def _has_label_markers(truth: str) -> bool:
    """Whether the truth marks its parts as unordered labels; `3 and 5` are numbers."""
    plain = normalise(truth)
    return _LABEL_PREFIX.search(plain) is not None or _SEGMENTS.fullmatch(_join_letters(plain)) is not None


def _labels(text: str) -> tuple[str, ...] | None:
    """The sorted labels of `A D and B E` or `angles 2, 3, 6, and 7`; None unless there are at least two."""
    candidates = [
        label.strip() for label in _LABEL_MARKERS.sub(",", _join_letters(normalise(text))).split(",")
    ]
    labels = [label for label in candidates if label]
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    return tuple(sorted(labels))


def _join_letters(text: str) -> str:
    return _SPACED_LETTERS.sub(lambda match: match[0].replace(" ", ""), text)


def _symmetric_relation(text: str) -> tuple[str, ...] | None:
    r"""A symmetric relation with sorted labels: `\angle 8 \cong \angle 2` is `\angle 2 \cong \angle 8`."""
    plain = normalise(text)
    sides = _SYMMETRIC.split(plain)
    if len(sides) != 4:
        return None
    relation_name = sides[1] or sides[2]
    labels = sorted(
        as_text(re.sub(r"\bangle\b", r"\\angle", side.replace(r"\angle", "angle")))
        for side in (sides[0], sides[3])
    )
    return (_CANONICAL.get(relation_name, relation_name), *labels)
