"""Remove what a reader of the rendered response does not see, or sees struck out (rule 1)."""

from __future__ import annotations

import re

# An unclosed comment extends to the end, so every pattern is linear.
_HIDDEN = re.compile(
    r"<!--.*?(?:-->|\Z)|\\iffalse(?![A-Za-z]).*?(?:\\fi(?![A-Za-z])|\Z)"
    r"|\\begin\s?\{comment\}.*?(?:\\end\s?\{comment\}|\Z)|^[ \t]*+%[^\n]*|~~[^~\n]*+~~"
    r"|<(?P<struck>del|s|strike)>.*?(?:</(?P=struck)>|\Z)",
    re.DOTALL | re.MULTILINE,
)
_MARKS = ("<!--", "\\iffalse", "{comment}", "%", "~~", "<del>", "<s>", "<strike>")

# Opening of a group that is not shown, shown struck out, or only defines a command.
HIDING_GROUP = r"\\(?:[hv]?phantom|[xb]?cancel|sout|st|def\s*+\\[A-Za-z]++|(?:re)?newcommand\*?\s*+\{?\\[A-Za-z]++\}?)\s*+\{"


def visible(text: str) -> str:
    """`text` without comments and struck-out passages."""
    return _HIDDEN.sub(" ", text) if any(mark in text for mark in _MARKS) else text
