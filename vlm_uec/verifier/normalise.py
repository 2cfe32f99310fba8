"""Normalise the spelling of an answer: Unicode, LaTeX wrappers, spacing, digits.

Callers limit the length. Every pattern starts at a fixed character or has possessive or bounded repeats, so
the time is linear.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from vlm_uec.verifier.brackets import closing_index
from vlm_uec.verifier.environments import replace_over, unescape, unwrap_environments
from vlm_uec.verifier.symbols import COMMANDS, SYMBOLS

MAX_TEXT = 2000  # characters; longer answers are rejected before they are processed

_SUPERSCRIPT = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_PLAIN_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_RANGE = re.compile(r"(?<=[0-9%°])\s?[–—]\s?(?=[0-9])")
_DASH = re.compile(r"[–—]")

_REPEATING = re.compile(
    r"([0-9]{0,12})\.([0-9]{0,12})\\(?:overline|bar|dot|overbar)\s?\{\s?([0-9]{1,12})\s?\}"
)
_THOUSANDS_SEPARATOR = re.compile(r"(?<=[0-9])(?:\{,\}|\\,|,\\!|\\!|~|,\\ )(?=[0-9]{3}(?![0-9]))")
_WRAPPER = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal|up)?|mathrm|mathbf|mathit|mathsf|mathbb|mathcal|mathnormal"
    r"|mathtt|mathscr|mathfrak|textsc|textsl|operatorname"
    r"|mbox|hbox|boxed|fbox|framebox|boldsymbol|bold|pmb|bm|emph|underline|overline|overrightarrow"
    r"|overleftrightarrow|widehat|overarc|wideparen|overparen|hat|vec|ensuremath)\*?\s?"
    r"\{((?:[^{}]++|\{[^{}]*+\})*+)\}"
)
_ARC = re.compile(
    r"\\(?:overset|stackrel)\s?(?:\\(?:frown|smile)(?![A-Za-z])|⌢|\{\s?(?:\\[A-Za-z]{4,5}\s?)?"
    r"(?:\{\s?)?(?:\\frown|⌢)(?:\s?\})?\s?\})"
)
_SPACED_SIGN = re.compile(r"(?:\\math(?:bin|rel|punct|ord)\s?)?\{\s?(:?=|:)\s?\}")
_SWITCH = re.compile(r"\{\s?\\(?:rm|bf|it|sf|tt|sl|sc|em)(?![A-Za-z])\s?([^{}\\]*+)\}")
_IGNORED_COMMAND = re.compile(r"\\(?:textcolor|color|hspace|vspace|phantom)\*?\s?\{[^{}]*+\}")
_COMMAND = re.compile(r"\\([A-Za-z]+|.)\s?", re.DOTALL)
_DEGREES = re.compile(r"(?:\{\s?\})?\^\s?(?:\{\s?(?:°|o)\s?\}|°|o(?![A-Za-z]))|\*\s?°")
_PRIMES = re.compile(r"\^\s?(?:\{\s?('{1,2})\s?\}|('))")
_MARKDOWN_EMPHASIS = re.compile(r"^\s*(\*\*|__|`|\*)(?=[^*_`\s])(.*[^*_`\s])\1\s*$", re.DOTALL)
_SPACED_DIGITS = re.compile(r"(?<![0-9.,])[0-9](?: [0-9])+(?![0-9])(?! ?/)")
_SPACED_THOUSANDS = re.compile(r"(?<![0-9.,] )(?<![0-9.,])[1-9][0-9]{0,2}(?: [0-9]{3})+(?![0-9])(?! ?[0-9/])")
_SPACED_DECIMAL_POINT = re.compile(r"(?<=[0-9]) \. ?(?=[0-9])|(?<=[0-9])\. (?=[0-9])")
_FINAL_PUNCTUATION = re.compile(r"(?<![.,;]) ?[.,]$")
_SPACE_NEXT_TO_SYMBOL = re.compile(r"(?<=[^\w]) | (?=[^\w])")
_QUOTES = frozenset("\"'")
_QUOTED = re.compile(r"^([\"'])(.*)\1$", re.DOTALL)
_TIMES = re.compile(r"(?<=[0-9]) [xX] (?=[0-9])")  # `1 x 2`
_WORD = re.compile(r"[^\W\d_]{3}")
_SHORT_WORDS = {"no", "up", "in", "on"}


def normalise(text: str) -> str:
    """Rewrite `text` with ASCII symbols, without wrappers, with single spaces and joined digits."""
    plain = text.strip()
    if not plain.isascii():
        plain = _fold_unicode(plain)
    if plain[:1] in "*_`":
        plain = _MARKDOWN_EMPHASIS.sub(r"\2", plain)
    plain = plain.replace("\r", "\n").replace("\n", " \n ")
    if "\\" in plain or "$" in plain or "~" in plain or "{,}" in plain:
        plain = _replace_commands(plain)
    plain = _TIMES.sub("*", plain.replace("**", "^"))
    if ":" in plain:
        plain = _SPACED_SIGN.sub(r"\1", plain).replace(":=", "=")
    if "°" in plain or "^" in plain:
        plain = _PRIMES.sub(r"\1\2", _DEGREES.sub("°", plain))
    plain = " ".join(plain.replace("\n", " ; ").split(" "))
    plain = " ".join(plain.split())
    return _strip_enclosing(_FINAL_PUNCTUATION.sub("", _join_digits(plain).strip("; ")))


def _strip_enclosing(text: str) -> str:
    """Remove the quotes or braces around all of `text`: `"12 cm"`, or `{12 cm}` from a removed wrapper."""
    bare = _QUOTED.sub(r"\2", text) if text[:1] in _QUOTES else text
    for _ in range(4):
        if bare[:1] != "{" or bare[-1:] != "}" or closing_index(bare) != len(bare) - 1:
            break
        bare = bare[1:-1].strip()
    return bare


def as_text(text: str) -> str:
    """The form in which text answers are compared. Case matters only in symbols such as AB."""
    plain = _SPACE_NEXT_TO_SYMBOL.sub("", normalise(text))
    return plain.casefold() if _WORD.search(plain) or plain.casefold() in _SHORT_WORDS else plain


def _replace_commands(text: str) -> str:
    plain = unescape(text)
    if "\\begin" in plain:
        plain = unwrap_environments(plain)
    plain = _THOUSANDS_SEPARATOR.sub(",", _REPEATING.sub(_repeating_fraction, plain))
    plain = _IGNORED_COMMAND.sub("", _ARC.sub("", _SWITCH.sub(r" \1 ", plain)))
    for _ in range(4):  # wrappers may be nested, as in \boxed{\text{...}}, but not deeply
        plain, count = _WRAPPER.subn(r" \1 ", plain)
        if not count:
            break
    if "\\over" in plain:
        plain = replace_over(plain)
    plain = _COMMAND.sub(lambda match: COMMANDS.get(match[1], rf"\{match[1]} "), plain)
    plain = plain.replace("~~", r"\sout ")  # markdown's strike-through, which is no value
    return plain.replace("$", " ").replace("~", " ")


def _repeating_fraction(match: re.Match[str]) -> str:
    """Rewrite 0.1(6) as the fraction (016 - 01) / 90."""
    integer_part, fixed_digits, period = match[1] or "0", match[2], match[3]
    numerator = int(integer_part + fixed_digits + period) - int(integer_part + fixed_digits)
    return rf"\frac{{{numerator}}}{{{'9' * len(period)}{'0' * len(fixed_digits)}}}"


@lru_cache(maxsize=4096)
def cached_as_text(text: str) -> str:
    """Cached `as_text` for truths and choices, which recur with every response of a group."""
    return as_text(text[:MAX_TEXT])


def _fold_unicode(text: str) -> str:
    """Convert full-width and styled characters to ASCII; a dash between numbers becomes a range."""
    with_superscripts = _SUPERSCRIPT.sub(lambda match: f"^{{{match[0].translate(_PLAIN_DIGITS)}}}", text)
    plain = "".join(map(_fold_character, with_superscripts.translate(SYMBOLS)))
    return _DASH.sub("-", _RANGE.sub(r"\\range ", plain.translate(SYMBOLS)))


def _fold_character(char: str) -> str:
    r"""Convert vulgar fractions to \frac, because NFKC would turn "4½" into 41/2."""
    if char.isascii() or char in "–—°":
        return char
    if not unicodedata.decomposition(char).startswith("<fraction>"):
        return unicodedata.normalize("NFKC", char)
    numerator, _, denominator = unicodedata.normalize("NFKC", char).partition("⁄")
    return rf"\frac{{{numerator}}}{{{denominator}}}" if denominator else char


def _join_digits(text: str) -> str:
    """Join `1 6`, `1 6 . 5` and `3 675` into one number each; keep mixed numbers such as `8 3/4`."""
    if " " not in text:
        return text
    joined = _SPACED_DECIMAL_POINT.sub(".", _SPACED_DIGITS.sub(_remove_spaces, text))
    return _SPACED_THOUSANDS.sub(_remove_spaces, joined)


def _remove_spaces(match: re.Match[str]) -> str:
    return match[0].replace(" ", "")
