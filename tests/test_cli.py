"""Exit codes and messages of commands: a closed output pipe, a user error, a bug."""

from __future__ import annotations

import logging
import sys
from io import StringIO

import pytest

from tests.support.launch import start
from vlm_uec.cli import configure_logging, exit_code_of
from vlm_uec.errors import UserError

SCRIPT = """
import sys
from vlm_uec.cli import exit_code_of
from vlm_uec.telemetry.display import Display

def work():
    display = Display(active=True)
    for number in range(100_000):
        display.line(f"line {number}")
    print("work finished", file=sys.stderr)

sys.exit(exit_code_of(work))
"""


@pytest.mark.parametrize(
    "script", [SCRIPT, SCRIPT.replace("display.line(", "print(")], ids=["display", "print"]
)
def test_a_closed_output_pipe_gives_no_traceback(script: str) -> None:
    process = start([sys.executable, "-c", script])
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == "line 0\n"
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(timeout=60) == 0
    # A command continues without its display, and ends if it cannot print its result.
    assert errors == ("work finished\n" if script is SCRIPT else "")


def test_a_user_error_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise UserError("n 0: give\n at least 1")

    assert exit_code_of(work) == 2
    assert capsys.readouterr().err == "error: n 0: give at least 1\n"


def test_a_configured_root_logger_does_not_print_records_again(monkeypatch: pytest.MonkeyPatch) -> None:
    root, printed = logging.getLogger(), StringIO()
    package = logging.getLogger("vlm_uec")
    monkeypatch.setattr(root, "handlers", [logging.StreamHandler(printed)])
    monkeypatch.setattr(package, "handlers", [])
    monkeypatch.setattr(package, "propagate", True)
    logging.getLogger("vlm_uec.sample").warning("before")
    configure_logging()
    logging.getLogger("vlm_uec.sample").warning("after")
    assert printed.getvalue() == "before\n"


def test_an_unexpected_exception_propagates() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_code_of(lambda: print(1 // 0))
