"""mathruler's verdicts, and the limits of the process that computes them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.lib.launching import ROOT
from vlm_uec.errors import UserError
from vlm_uec.mathruler import client, install
from vlm_uec.mathruler.client import Grade, Grader
from vlm_uec.mathruler.process import Limits

pytest.importorskip("mathruler")

# A module of this name earlier on the path takes mathruler's place, so that a verdict can misbehave.
FAKE_GRADER = """
import os, signal, time

def _sympy_parse(text): pass
def extract_boxed_content(text): return text.removeprefix("\\\\boxed{").removesuffix("}")

def grade_answer(given, truth):
    if given == "compute":
        while True:
            try:
                while True: pass
            except: pass
    if given == "sleep": time.sleep(1000)
    if given == "allocate":
        try: block = bytearray(8 << 30)
        except MemoryError: return False
    if given == "die": os.kill(os.getpid(), signal.SIGKILL)
    if given == "die once" and not os.path.exists(truth):
        open(truth, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    if given == "raise": raise IndexError("x")
    return os.environ.get(given, given) == given
"""


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    grader = Grader()
    yield grader
    grader.close()


@pytest.fixture
def misbehaving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Grader]:
    package = tmp_path / "mathruler"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "grader.py").write_text(FAKE_GRADER)
    monkeypatch.syspath_prepend(str(tmp_path))
    grader = Grader(Limits(cpu_seconds=1))
    yield grader
    grader.close()


ORDINARY = [
    ("12", "12"), ("12.0", "12"), ("13", "12"), (r"5\sqrt{3}", r"5 \sqrt { 3 }"),
    (r"\sqrt{75}", r"5\sqrt{3}"),
    (r"\frac{17}{2}\sqrt{3}", r"\frac { 17 } { 2 } \sqrt { 3 }"), (r"\frac12", "0.5"), ("40^\\circ", "40"),
    ("40°", "40"), ("x=5", "5"), ("2x+3", "3+2x"), (r"12\text{ or }13", "12"), ("12=13", "13"),
    (r"\sqrt[3]{41}", r"\sqrt{41}"), ("(1,2)", "(1, 2)"), (r"[1,\sqrt{4}]", "[1,2]"),
    ("2/4", "1/2"), ("7 3/4", "7.75"),
    (r"12\pi", r"\pi\cdot 12"), ("1,234", "1234"), ("3 \\text{ cm}", "3"), ("50\\%", "50"),
    ("", "5"), ("None", "5"),
    (r"\angle 8 \cong \angle 2", r"\angle 2 \cong \angle 8"), ("1.5e-3", "0.0015"), ("5 million", "5000000"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "truth"), ORDINARY)
def test_verdicts_are_those_of_mathruler_itself(grader: Grader, answer: str, truth: str) -> None:
    from mathruler.grader import extract_boxed_content, grade_answer

    response = f"<think>\\boxed{{1}}</think> so \\boxed{{{answer}}} is it"
    grade = grader.grade(response, truth)
    assert grade.correct is grade_answer(extract_boxed_content(response), truth)
    assert grade.extracted == (None if answer == "None" else answer)


NUMBERS = st.integers(0, 30).map(str) | st.sampled_from(["0.5", ".25", "1.20", "1,000"])
FACTORS = NUMBERS | st.sampled_from(["x", "\\pi", "x^2", "\\frac{1}{2}", "\\frac12", "3/4"])
ROOTS = st.sampled_from(
    ["\\sqrt{%s}", "\\sqrt %s", "\\frac{%s}{2}", "(%s)", "%s^\\circ", "2^%s", "%s\\text{ cm}"]
)
TERMS = st.tuples(ROOTS, FACTORS).map(lambda pair: pair[0] % pair[1]) | FACTORS
ANSWERS = (
    st.tuples(TERMS, st.sampled_from(["", " ", "+", "-", "\\cdot ", "*", "/", ","]), TERMS).map("".join)
    | TERMS
)


@given(ANSWERS, ANSWERS)
@settings(max_examples=60, deadline=None)
def test_generated_answers_get_the_verdicts_of_mathruler_itself(one: str, other: str) -> None:
    from mathruler.grader import grade_answer

    grader = client.shared_grader()
    for answer, truth in ((one, other), (one, one.replace(" ", "").replace("\\cdot", "*"))):
        assert grader.grade(f"\\boxed{{{answer}}}", truth).correct is bool(
            grade_answer(answer.strip(), truth)
        )


@given(st.text(alphabet=st.characters() | st.sampled_from("0123456789{}()^*/+-.,!\\_'\"")))
@settings(deadline=None)
def test_any_text_gets_a_verdict(text: str) -> None:
    grade = client.shared_grader().grade(f"\\boxed{{{text}}}", "\\frac{1}{3}")
    assert "killed" not in grade.reason and "computed" not in grade.reason


def test_the_last_box_anywhere_counts(grader: Grader) -> None:
    assert grader.grade("<think>\\boxed{5} then \\boxed{7}</think>", "7").correct
    assert not grader.grade("\\boxed{7} then \\boxed{5}", "7").correct
    assert not grader.grade("<answer>7</answer> The answer is 7.", "7").correct


@pytest.mark.parametrize("response", ["", "no box", "\\boxed{7} and \\boxed{5"])
def test_a_missing_or_unclosed_box_is_the_text_none(grader: Grader, response: str) -> None:
    assert grader.grade(response, "7") == Grade(False, None, "no closed \\boxed{}: not equal for mathruler")
    assert grader.grade(response, "None").correct


HOSTILE = [
    "9**9**9**9", "99999999!", "(1,1)*9999999999", "'a'*9999999999", "9^9^9", "\ud800", "\x00", "𝟏𝟐",
    "{" * 900,
    "__import__('os').system('touch hacked')", "ff(9**9,9**9)", "[x for x in ().__class__.__base__]",
    "x.x", "1\n2",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_wrong_and_quick(grader: Grader, text: str) -> None:
    started = time.monotonic()
    assert not grader.grade(f"\\boxed{{{text}}}", "12.5").correct
    assert time.monotonic() - started < 4  # less than the CPU limit


@pytest.mark.parametrize("truth", ["9**9**9**9", "99999999!"])
def test_a_hostile_truth_is_wrong_too(grader: Grader, truth: str) -> None:
    grade = grader.grade("\\boxed{2.5}", truth)
    assert not grade.correct
    assert "not evaluated" in grade.reason


def test_long_answers_are_wrong(grader: Grader) -> None:
    assert grader.grade(f"\\boxed{{{'1' * 2001}}}", "1" * 2001).reason == "longer than 2000 characters"
    assert grader.grade(f"\\boxed{{{'1' * 2000}}}", "1" * 2000).correct
    assert grader.grade("\\boxed{1}" + "x" * 1_000_000, "1").reason == "longer than 1000000 characters"
    assert grader.grade("x" * 2_000_000 + "\\boxed{1}" + "x" * 900_000, "1").correct


def test_an_endless_computation_is_killed_by_its_cpu_limit(misbehaving: Grader) -> None:
    grade = misbehaving.grade("\\boxed{compute}", "1")
    assert grade == Grade(False, None, "mathruler computed for more than 1 s")
    assert misbehaving.grade("\\boxed{1}", "1").correct  # by a new process


@pytest.mark.usefixtures("misbehaving")
def test_a_verdict_that_does_not_come_is_wrong() -> None:
    grader = Grader(Limits(seconds=2.0))
    assert grader.grade("\\boxed{sleep}", "1").reason == "no verdict of mathruler within 2 s"
    assert grader.grade("\\boxed{1}", "1").correct
    grader.close()


def test_memory_is_limited(misbehaving: Grader) -> None:
    assert misbehaving.grade("\\boxed{allocate}", "1").reason == "the last box: not equal for mathruler"


def test_a_killed_process_is_replaced_once(misbehaving: Grader, tmp_path: Path) -> None:
    assert misbehaving.grade("\\boxed{die once}", str(tmp_path / "died")).correct
    assert misbehaving.grade("\\boxed{die}", "1").reason == "mathruler's process was killed twice"
    assert misbehaving.grade("\\boxed{1}", "1").correct


def test_an_exception_of_mathruler_is_wrong(misbehaving: Grader) -> None:
    assert misbehaving.grade("\\boxed{raise}", "1").reason == "mathruler raised IndexError"


def test_the_environment_of_the_user_is_not_passed_on(
    misbehaving: Grader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "1")
    assert misbehaving.grade("\\boxed{SECRET_TOKEN}", "1").correct  # the variable is not set there


def test_the_process_ends_with_its_parent(tmp_path: Path) -> None:
    """Killed without any clean-up; and its group gets Ctrl-C, which must not end the process before."""
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent("""
            import psutil, time
            from vlm_uec.mathruler.client import shared_grader
            shared_grader().grade("\\\\boxed{1}", "1")
            print(psutil.Process().children()[0].pid, flush=True)
            time.sleep(1000)
        """)
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, script], env=environment, stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        assert os.getpgid(worker.pid) != os.getpgid(parent.pid)
        parent.send_signal(signal.SIGKILL)
    worker.wait(timeout=20)


@pytest.mark.usefixtures("misbehaving")
def test_a_computing_process_ends_after_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "from vlm_uec.mathruler.client import Grader\n"
        "from vlm_uec.mathruler.process import Limits\n"
        "grader = Grader(Limits(cpu_seconds=2))\n"
        "grader.grade('', '')\n"
        "print('ready', flush=True)\n"
        "grader.grade('\\\\boxed{compute}', '')\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    command, environment = [sys.executable, str(script)], {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        (worker,) = psutil.Process(parent.pid).children()
        parent.send_signal(signal.SIGKILL)
    worker.wait(timeout=60)


def test_a_program_that_scored_ends_at_once() -> None:
    code = (
        "from vlm_uec.mathruler.client import shared_grader\nprint(shared_grader().grade('', 'None').correct)"
    )
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.check_output(command, env=environment, timeout=60, text=True) == "True\n"


def test_an_interrupted_verdict_does_not_answer_the_next_one(
    grader: Grader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: object, seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(client.WorkerProcess, "_read_line", interrupt)
        grader.grade("\\boxed{1}", "1")
    assert not grader.grade("\\boxed{1}", "2").correct


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(install, "version", missing)
    with pytest.raises(UserError, match=r"mathruler is not installed; pip install mathruler==0\.1\.0"):
        Grader().grade("\\boxed{1}", "1")


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "version", lambda name: "0.9.9")
    with pytest.raises(UserError, match=r"mathruler 0\.9\.9 is installed, not 0\.1\.0"):
        install.check_installed()


def test_a_broken_package_is_one_line(misbehaving: Grader, tmp_path: Path) -> None:
    (tmp_path / "mathruler" / "grader.py").write_text("import no_such_module")
    with pytest.raises(UserError, match=r"cannot be imported.*no_such_module"):
        misbehaving.grade("\\boxed{1}", "1")
