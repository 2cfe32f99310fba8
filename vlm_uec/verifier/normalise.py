"""One spelling for the many ways of writing the same answer: Unicode, wrappers, spacing, digit groups."""

from __future__ import annotations

import re
import unicodedata

MAX_TEXT = 2000  # characters: longer "answers" are refused before any work is done on them

_SUPERSCRIPTS = {ord(char): f"^{{{digit}}}" for digit, char in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
_SYMBOLS = str.maketrans({
    "−": "-", "–": "-", "—": "-", "×": "*", "·": "*", "⋅": "*", "÷": "/", "⁄": "/", "∕": "/", "π": r"\pi ",
    "√": r"\root ", "≈": r"\approx ", "∠": r"\angle ", "，": ",", "。": ".", "、": ",", "：": ":", "　": " ",
})  # fmt: skip
_COMMANDS = {
    "dfrac": r"\frac ", "tfrac": r"\frac ", "cfrac": r"\frac ", "times": "*", "cdot": "*", "div": "/",
    "degree": "°",
    "simeq": r"\approx ", "left": "", "right": "", "displaystyle": "", "quad": " ", "qquad": " ",
}  # fmt: skip
_COMMAND = re.compile(r"\\(" + "|".join(_COMMANDS) + r")(?![A-Za-z])")
_WRAPPER = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mathsf|mbox|bf|rm|boldsymbol|boxed|overline)"
    r"\s*+\{([^{}]*+)\}"
)
_DEGREES = re.compile(r"\^\s*+(?:\{\s*+(?:\\circ|°)\s*+\}|\\circ(?![A-Za-z])|°)|\\circ(?![A-Za-z])")
_SPACING = re.compile(r"\\[,;:!() \[\]]|~|\$")
_GROUP_COMMA = re.compile(r"(?<=[0-9])(?:\{,\}|\\,|,\\!)(?=[0-9]{3}(?![0-9]))")
_SPACED_DIGITS = re.compile(r"(?<![0-9])[0-9](?: [0-9])+(?![0-9])(?!/)")
_SPACED_POINT = re.compile(r"(?<=[0-9]) ?\. ?(?=[0-9])")
_LOOSE_SPACE = re.compile(r"(?<=[^\w]) | (?=[^\w])")


def normalise(text: str) -> str:
    """`text` in plain spelling: ASCII symbols, no wrappers, single spaces. Callers bound its length."""
    plain = text if text.isascii() else "".join(map(_fold, text.translate(_SUPERSCRIPTS))).translate(_SYMBOLS)
    plain = _GROUP_COMMA.sub(",", plain)
    for _ in range(3):  # wrappers nest, as in \boxed{\text{...}}, and never deeply
        plain = _WRAPPER.sub(r" \1 ", plain)
    plain = _DEGREES.sub("°", _SPACING.sub(" ", plain))
    plain = _COMMAND.sub(lambda match: _COMMANDS[match[1]], plain).replace("**", "^").replace(r"\%", "%")
    plain = " ".join(plain.split())
    return _join_digits(plain).rstrip(".,; ")


def as_text(text: str) -> str:
    """The form in which answers that are no values are compared. Case counts only in symbols such as AB."""
    plain = _LOOSE_SPACE.sub("", normalise(text))
    return plain.casefold() if re.search(r"[^\W\d_]{3}", plain) else plain


def _fold(char: str) -> str:
    """Full-width forms become ASCII. Vulgar fractions become \\frac, because NFKC makes 41/2 of "4½"."""
    if not unicodedata.decomposition(char).startswith("<fraction>"):
        return unicodedata.normalize("NFKC", char)
    above, _, below = unicodedata.normalize("NFKC", char).partition("⁄")
    return rf"\frac{{{above}}}{{{below}}}" if below else char


def _join_digits(text: str) -> str:
    """Geometry3K's annotators wrote `1 6` and `1 6 . 5`; a mixed number such as `8 3/4` stays as it is."""
    return _SPACED_POINT.sub(".", _SPACED_DIGITS.sub(lambda match: match[0].replace(" ", ""), text))
