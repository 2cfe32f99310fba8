"""How commands end: when their reader goes away, and when they are asked for what cannot be."""

from __future__ import annotations

import sys

import pytest

from tests.support.launch import start
from vlm_uec.cli import exit_code_of
from vlm_uec.errors import UserError

TALK = """
import sys
from vlm_uec.cli import exit_code_of
from vlm_uec.telemetry.display import Display

def work():
    display = Display(active=True)
    for number in range(100_000):
        display.line(f"line {number}")
    print("the work was done", file=sys.stderr)

sys.exit(exit_code_of(work))
"""


@pytest.mark.parametrize("talk", [TALK, TALK.replace("display.line(", "print(")], ids=["display", "print"])
def test_a_reader_who_leaves_is_no_traceback(talk: str) -> None:
    process = start([sys.executable, "-c", talk])
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == "line 0\n"
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(timeout=60) == 0
    # What a display tells is beside the work, which goes on; what is printed is the work's result.
    assert errors == ("the work was done\n" if talk is TALK else "")


def test_an_error_of_the_users_is_one_line_and_2(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise UserError("n 0: give\n at least 1")

    assert exit_code_of(work) == 2
    assert capsys.readouterr().err == "error: n 0: give at least 1\n"


def test_a_fault_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_code_of(lambda: print(1 // 0))
