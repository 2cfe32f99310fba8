"""Remove what a reader of the rendered response does not see, or sees struck out (rule 1)."""

from __future__ import annotations

import re

# An unclosed comment hides nothing: what follows it is judged as it stands. The bound keeps the time linear.
_HIDDEN = re.compile(
    r"<!--.{0,2000}?-->|\\iffalse(?![A-Za-z]).{0,2000}?\\fi(?![A-Za-z])"
    r"|\\begin\s?\{comment\}.{0,2000}?\\end\s?\{comment\}|^[ \t]*+%[^\n]*|~~[^~\n]{0,2000}+~~"
    r"|<(?P<struck>del|s|strike)>.{0,2000}?</(?P=struck)>",
    re.DOTALL | re.MULTILINE,
)
_MARKS = ("<!--", "\\iffalse", "{comment}", "%", "~~", "<del>", "<s>", "<strike>")

# Opening of a group that is not shown, shown struck out, or only defines a command.
HIDING_GROUP = (
    r"\\(?:[hv]?phantom|[xb]?cancel|sout|st|def\s*+\\[A-Za-z]++"
    r"|(?:re)?newcommand\*?\s*+\{?\\[A-Za-z]++\}?)\s*+\{"
)


def visible(text: str) -> str:
    """`text` without comments and struck-out passages."""
    return _HIDDEN.sub(" ", text) if any(mark in text for mark in _MARKS) else text
