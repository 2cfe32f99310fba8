"""One spelling for the many ways of writing the same answer: Unicode, LaTeX wrappers, spacing, digits.

Callers bound the length. Every pattern either starts at a fixed character or has possessive or bounded
repeats, so the time stays linear.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from vlm_uec.verifier.brackets import closing
from vlm_uec.verifier.symbols import COMMANDS, SYMBOLS

MAX_TEXT = 2000  # characters: longer "answers" are refused before any work is done on them

_SUPERSCRIPT = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_PLAIN_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_RANGE = re.compile(r"(?<=[0-9%°])\s?[–—]\s?(?=[0-9])")
_DASH = re.compile(r"[–—]")

_REPEATING = re.compile(
    r"([0-9]{0,12})\.([0-9]{0,12})\\(?:overline|bar|dot|overbar)\s?\{\s?([0-9]{1,12})\s?\}"
)
_GROUP_COMMA = re.compile(r"(?<=[0-9])(?:\{,\}|\\,|,\\!|\\!|~|,\\ )(?=[0-9]{3}(?![0-9]))")
_WRAPPER = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal|up)?|mathrm|mathbf|mathit|mathsf|mathbb|mathcal|mathnormal|operatorname"
    r"|mbox|hbox|boxed|fbox|framebox|boldsymbol|bold|pmb|bm|emph|underline|overline|overrightarrow"
    r"|overleftrightarrow|widehat|overarc|wideparen|overparen|hat|vec|ensuremath)\*?\s?"
    r"\{((?:[^{}]++|\{[^{}]*+\})*+)\}"
)
_ARC = re.compile(r"\\(?:overset|stackrel)\s?\{\s?\\(?:frown|LARGE\\frown)\s?\}")
_COLOUR = re.compile(r"\\(?:textcolor|color|hspace|vspace|phantom)\*?\s?\{[^{}]*+\}")
_COMMAND = re.compile(r"\\([A-Za-z]+|.)\s?", re.DOTALL)
_DEGREES = re.compile(r"(?:\{\s?\})?\^\s?(?:\{\s?(?:°|o)\s?\}|°|o(?![A-Za-z]))|\*\s?°")
_PRIMES = re.compile(r"\^\s?(?:\{\s?('{1,2})\s?\}|('))")
_BOLD = re.compile(r"^\s*(\*\*|__|`|\*)(?=[^*_`\s])(.*[^*_`\s])\1\s*$", re.DOTALL)
_SPACED_DIGITS = re.compile(r"(?<![0-9.,])[0-9](?: [0-9])+(?![0-9])(?! ?/)")
_SPACED_GROUPS = re.compile(r"(?<![0-9.,] )(?<![0-9.,])[1-9][0-9]{0,2}(?: [0-9]{3})+(?![0-9])(?! ?[0-9/])")
_SPACED_POINT = re.compile(r"(?<=[0-9]) \. ?(?=[0-9])|(?<=[0-9])\. (?=[0-9])")
_FINAL_POINT = re.compile(r"(?<![.,;]) ?[.,]$")
_LOOSE_SPACE = re.compile(r"(?<=[^\w]) | (?=[^\w])")
_QUOTES = frozenset("\"'")
_QUOTED = re.compile(r"^([\"'])(.*)\1$", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]{3}")
_SHORT_WORDS = {"no", "up", "in", "on"}


def normalise(text: str) -> str:
    """`text` in plain spelling: ASCII symbols, no wrappers, single spaces, joined digits."""
    plain = text.strip()
    if not plain.isascii():
        plain = _fold(plain)
    if plain[:1] in "*_`":
        plain = _BOLD.sub(r"\2", plain)
    plain = plain.replace("\r", "\n").replace("\n", " \n ")
    if "\\" in plain or "$" in plain or "~" in plain or "{,}" in plain:
        plain = _without_commands(plain)
    plain = plain.replace("**", "^")
    if "°" in plain or "^" in plain:
        plain = _PRIMES.sub(r"\1\2", _DEGREES.sub("°", plain))
    plain = " ".join(plain.replace("\n", " ; ").split(" "))
    plain = " ".join(plain.split())
    return _unwrapped(_FINAL_POINT.sub("", _join_digits(plain).strip("; ")))


def _unwrapped(text: str) -> str:
    """`{12 cm}`, as a dropped wrapper leaves it, and `"12 cm"` without what encloses them."""
    bare = _QUOTED.sub(r"\2", text) if text[:1] in _QUOTES else text
    for _ in range(4):
        if bare[:1] != "{" or bare[-1:] != "}" or closing(bare) != len(bare) - 1:
            break
        bare = bare[1:-1].strip()
    return bare


def as_text(text: str) -> str:
    """The form in which answers that are no values are compared. Case counts only in symbols such as AB."""
    plain = _LOOSE_SPACE.sub("", normalise(text))
    return plain.casefold() if _WORD.search(plain) or plain.casefold() in _SHORT_WORDS else plain


def _without_commands(text: str) -> str:
    plain = _GROUP_COMMA.sub(",", _REPEATING.sub(_repeating_fraction, text))
    plain = _COLOUR.sub("", _ARC.sub("", plain))
    for _ in range(4):  # wrappers nest, as in \boxed{\text{...}}, and never deeply
        plain, count = _WRAPPER.subn(r" \1 ", plain)
        if not count:
            break
    plain = _COMMAND.sub(lambda match: COMMANDS.get(match[1], rf"\{match[1]} "), plain)
    return plain.replace("$", " ").replace("~", " ")


def _repeating_fraction(match: re.Match[str]) -> str:
    """0.1(6) as the fraction (016 - 01) / 90."""
    whole, fixed, period = match[1] or "0", match[2], match[3]
    above = int(whole + fixed + period) - int(whole + fixed)
    return rf"\frac{{{above}}}{{{'9' * len(period)}{'0' * len(fixed)}}}"


@lru_cache(maxsize=4096)
def known_text(text: str) -> str:
    """`as_text` of a data set's own text: truths and choices come again with every response of a group."""
    return as_text(text[:MAX_TEXT])


def _fold(text: str) -> str:
    """Full-width and styled forms become ASCII, dashes between numbers stay what they are: a range."""
    raised = _SUPERSCRIPT.sub(lambda match: f"^{{{match[0].translate(_PLAIN_DIGITS)}}}", text)
    plain = "".join(map(_fold_character, raised.translate(SYMBOLS)))
    return _DASH.sub("-", _RANGE.sub(r"\\range ", plain.translate(SYMBOLS)))


def _fold_character(char: str) -> str:
    r"""Vulgar fractions become \frac, because NFKC would make 41/2 of "4½"."""
    if char.isascii() or char in "–—°":
        return char
    if not unicodedata.decomposition(char).startswith("<fraction>"):
        return unicodedata.normalize("NFKC", char)
    above, _, below = unicodedata.normalize("NFKC", char).partition("⁄")
    return rf"\frac{{{above}}}{{{below}}}" if below else char


def _join_digits(text: str) -> str:
    """`1 6`, `1 6 . 5` and `3 675` are one number; a mixed number such as `8 3/4` stays as it is."""
    if " " not in text:
        return text
    joined = _SPACED_POINT.sub(".", _SPACED_DIGITS.sub(_without_spaces, text))
    return _SPACED_GROUPS.sub(_without_spaces, joined)


def _without_spaces(match: re.Match[str]) -> str:
    return match[0].replace(" ", "")
