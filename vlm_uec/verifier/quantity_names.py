"""Names of quantities: the texts that are allowed before `=`, `is` or `:`. The vocabulary is closed.

An open vocabulary would accept "not = 27", "half of it is 27" or "a wrong answer: 27".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_NAME_LENGTH = 120  # characters

_GREEK = r"\\(?:theta|alpha|beta|gamma|phi|delta|omega|lambda|ell|mu)(?![A-Za-z])"
_LABEL = rf"(?:[A-Za-z]'{{0,2}}(?: ?[A-Z]'{{0,2}}){{0,5}}|{_GREEK})"
_INDEX = r"(?: ?_ ?(?:[A-Za-z0-9]|\{[^{}]{1,30}\}|\\triangle ?[A-Z ]{1,8}))?"
_MARK = r"(?:\\(?:angle|triangle|odot|Delta|sin|cos|tan|cot|sec|csc|parallelogram|square) ?)"
_NUMBERED_ANGLE = r"\\angle ?\{? ?[0-9]{1,2} ?\}?"
_SYMBOL = re.compile(
    r"\(? ?\|? ?(?:(?:m|length|area) ?(?=[\\A-Z({]))?"
    rf"(?:{_MARK}{{0,2}}[{{(]? ?{_LABEL}{_INDEX} ?[)}}]?|{_NUMBERED_ANGLE})'{{0,2}} ?\|? ?\)?"
)
_RATIO = re.compile(
    rf"\\frac ?\{{ ?{_LABEL}{_INDEX} ?\}} ?\{{ ?{_LABEL}{_INDEX} ?\}}"
    rf"|{_LABEL} ?[:/] ?{_LABEL}(?: ?: ?{_LABEL})?"
)
_VOCABULARY = """
    ans the this that its it a an of for in to on at from between my our your and by answer result
    solution value final correct right exact required desired overall question problem measure
    measures area areas perimeter circumference length lengths width height altitude radius diameter
    volume angle angles side sides distance ratio scale factor slope probability sum surface lateral
    total base hypotenuse leg legs apothem median midsegment diagonal degree degrees magnitude size
    number arc chord segment sector tangent secant line triangle triangles circle square rectangle
    parallelogram trapezoid rhombus kite polygon pentagon hexagon octagon quadrilateral figure shape
    region cone cylinder sphere prism pyramid cube shaded given regular isosceles equilateral
    missing unknown indicated marked central inscribed interior exterior larger smaller longer
    shorter other third unit units variable expression nearest tenth hundredth whole simplest form
    terms quantity calculated choice option centimeters cm meters feet inches answered here now
    sine cosine x-value y-value two three four five six both each all digits between points
    point these those equal congruent corresponding adjacent opposite vertical smallest largest
    shortest longest combined remaining edge edges vertex vertices faces mean average solid ladder
    tower tree building river flagpole pole wall ramp shadow bridge cliff hill road field garden
    pool house door rope wire cable ship boat depth distance heights equation function coordinate
    coordinates difference product best amount range cost price speed velocity
    mode image picture
"""
_WORDS = frozenset(_VOCABULARY.split())
_TOKEN = re.compile(r"\\[A-Za-z]+ ?|[A-Za-z]+(?:-[a-z]+)?'{0,2}|[0-9]+|[^\sA-Za-z0-9]")
_FUNCTION_OF = re.compile(r"\b(?:square|cube|opposite) of\b", re.IGNORECASE)
_NUMBERED = frozenset(("\\angle", "angle"))
_CJK = re.compile(r"[\u4e00-\u9fff]")
_IGNORED_PUNCTUATION = frozenset((",", "(", ")", "{", "}", "'"))
_ANSWER_WORD = re.compile(r"\b(?:answer|result|solution|option|choice)\b", re.IGNORECASE)


def is_symbol(text: str) -> bool:
    r"""`x`, `AB`, `m \angle A B C`, `S_{\triangle ABC}`, `\frac{AB}{CD}`."""
    bare = text.strip()
    if len(bare) > MAX_NAME_LENGTH:
        return False
    return _SYMBOL.fullmatch(bare) is not None or _RATIO.fullmatch(bare) is not None


def is_phrase(text: str) -> bool:
    """`The area of triangle ABC`, `Length of AB`: words of the vocabulary, possibly with labels."""
    if not 0 < len(text) <= MAX_NAME_LENGTH:
        return False
    if _FUNCTION_OF.search(text):
        return False
    has_vocabulary_word, previous = False, ""
    for token in _TOKEN.findall(text):
        word = token.strip().casefold()
        if word in _WORDS:
            has_vocabulary_word = has_vocabulary_word or len(word) > 1
        elif word.isdigit():
            if previous not in _NUMBERED:
                return False
        elif not (token in _IGNORED_PUNCTUATION or token.startswith("\\") or _is_label(token)):
            return False
        previous = word
    return has_vocabulary_word


def are_in_vocabulary(words: Iterable[str]) -> bool:
    return all(word.casefold() in _WORDS for word in words)


def is_name(text: str) -> bool:
    return is_symbol(text) or is_phrase(text)


def is_answer_phrase(text: str) -> bool:
    """Whether a phrase names the final answer rather than an intermediate quantity."""
    return _ANSWER_WORD.search(text) is not None and is_phrase(text)


def _is_label(token: str) -> bool:
    return (len(token) == 1 and token.isalpha() and not _CJK.match(token)) or (
        len(token) <= 5 and token.isupper()
    )
