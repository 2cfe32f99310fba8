from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_uec.escape import escape, escape_controls


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 5°", "x = 5°"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[2J", r"\x1b[2J"),
        ("it's \u2028", r"it's \u2028"),
        ("\ud800", r"\ud800"),
    ],
)
def test_control_characters_are_escaped(text: str, expected: str) -> None:
    assert escape_controls(text) == escape(text) == expected


def test_the_middle_of_a_long_text_is_left_out() -> None:
    assert escape("abcdefghij" * 3, limit=11) == "abcd...ghij"


@given(st.text())
def test_escaped_text_is_printable(text: str) -> None:
    assert escape_controls(text).isprintable()
