"""Rule 1: what a reader does not see, or sees struck out, is no answer."""

from __future__ import annotations

import time

import pytest

from vlm_uec.verifier import verify

HIDDEN = [
    r"<!-- \boxed{49} -->",
    "<!--\n\\boxed{49}\n-->",
    r"\iffalse \boxed{49} \fi",
    r"\begin{comment}\boxed{49}\end{comment}",
    "\n% \\boxed{49}",
    r"\phantom{\boxed{49}}",
    r"\hphantom{x = {\boxed{49}}}",
    r"\def\x{\boxed{49}}",
    r"\newcommand{\x}{\boxed{49}}",
    r"\cancel{\boxed{49}}",
    r"\sout{\boxed{49}}",
    r"~~\boxed{49}~~",
    r"<del>\boxed{49}</del>",
]


@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_hidden_box_leaves_the_visible_one(hidden: str) -> None:
    assert not verify(rf"\boxed{{48}} {hidden}", "49").correct
    assert verify(rf"\boxed{{49}} {hidden.replace('49', '48')}", "49").correct


@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_hidden_box_alone_is_no_answer(hidden: str) -> None:
    assert not verify(hidden, "49").correct


@pytest.mark.parametrize(
    "response",
    [
        r"This is 50% of the circle. \boxed{49}",
        r"50\% \boxed{49}",
        r"\frac{\cancel{6}}{2} and \boxed{49}",
        r"\phantom{x} \boxed{49}",
        r"\boxed{\phantom{x}49}",
        r"x =~\boxed{49}~\text{cm}",
        r"\stackrel{a}{=} \boxed{49}",
    ],
)
def test_a_visible_box_counts_beside_such_commands(response: str) -> None:
    assert verify(response, "49").correct


def test_an_open_comment_hides_nothing() -> None:
    assert not verify(r"\boxed{49} \boxed{48 <!--49}", "49").correct


@pytest.mark.parametrize(
    "opening", ["<!--", "\\iffalse ", "<del>", "~~", r"\phantom{", r"\begin{comment}", "\n%"]
)
def test_many_open_marks_take_little_time(opening: str) -> None:
    text = opening * (40_000 // len(opening)) + r"\boxed{49}"
    start = time.process_time()
    verify(text, "49")
    assert time.process_time() - start < 2
