"""Rewards: accuracy and format, the rule for choices, and plug-ins that fail."""

from __future__ import annotations

import time
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_uec.data.chat import FormatPrompt
from vlm_uec.errors import Stopped, UserError
from vlm_uec.mathruler import install
from vlm_uec.rewards import (
    accuracy_reward,
    check_reward_function,
    format_reward,
    judge,
    lists_choices,
    load_reward_function,
)
from vlm_uec.types import Problem
from vlm_uec.verifier import Strictness

CHOICES_TEMPLATE = str(Path(__file__).parents[1] / "configs" / "prompts" / "choices.jinja")
PROBLEM = Problem(id="geo-7", question="<image>Find x.", answer="31", choices=("22", "31", "43", "62"))
LISTED = replace(PROBLEM, question="<image>Find x.\nChoices:\n(A) 22\n(B) 31\n(C) 43\n(D) 62")
RIGHT = r"<think>Because.</think> \boxed{31}"
LETTER = r"<think>Because.</think> \boxed{B}"


def test_accuracy_reward() -> None:
    assert accuracy_reward(RIGHT, PROBLEM) == 1.0
    assert accuracy_reward(RIGHT.replace("31", "30"), PROBLEM) == 0.0
    assert accuracy_reward(r"\boxed{3.92}", Problem("p", "q", "3.9", precision=1)) == 1.0


def test_the_strictness_applies_to_the_verifier_only() -> None:
    inside = RIGHT.removesuffix(r" \boxed{31}").replace("Because.", r"\boxed{31}")
    accept, boxed_only = Strictness(thinking="accept"), Strictness(statements="boxed_only")
    assert judge(inside, PROBLEM, accuracy_reward, 0.0).accuracy == 0.0
    assert judge(inside, PROBLEM, accuracy_reward, 0.0, strictness=accept).accuracy == 1.0
    assert judge("The answer is 31.", PROBLEM, accuracy_reward, 0.0).accuracy == 1.0
    assert judge("The answer is 31.", PROBLEM, accuracy_reward, 0.0, strictness=boxed_only).accuracy == 0.0
    assert judge("", PROBLEM, lambda response, problem: 1.0, 0.0, strictness=boxed_only).accuracy == 1.0


def test_a_letter_counts_only_if_the_prompt_lists_the_choices() -> None:
    assert accuracy_reward(LETTER, PROBLEM) == 0.0
    assert accuracy_reward(LETTER, LISTED) == 1.0
    assert judge(LETTER, PROBLEM, accuracy_reward, 0.0).accuracy == 0.0


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (CHOICES_TEMPLATE, 1.0),
        ("{{ question }} A. 22 B. 31 C. 43 D. 62", 1.0),
        ("{{ question }} There are {{ choices | length }} choices.", 0.0),
        ("{{ question }} {{ choices | join(', ') }}", 0.0),
        ("{{ question }}{% if answer_type == 'none' %} (A) 22 (B) 31 (C) 43 (D) 62{% endif %}", 0.0),
        (None, 0.0),
    ],
)
def test_the_rendered_prompt_decides_whether_a_letter_counts(template: str | None, expected: float) -> None:
    prompt = FormatPrompt(template)
    assert judge(LETTER, PROBLEM, accuracy_reward, 0.0, prompt=prompt).accuracy == expected
    assert judge(RIGHT, PROBLEM, accuracy_reward, 0.0, prompt=prompt).accuracy == 1.0


def test_more_choices_than_letters_are_not_listed() -> None:
    many = replace(PROBLEM, choices=tuple(map(str, range(27))))
    assert "Choices:" not in FormatPrompt(CHOICES_TEMPLATE)(many)


def test_the_bundled_choices_template_lists_the_choices() -> None:
    text = FormatPrompt(CHOICES_TEMPLATE)(PROBLEM)
    start = "<image>Find x.\nChoices:\n(A) 22\n(B) 31\n(C) 43\n(D) 62\nYou FIRST think about"
    assert text.startswith(start)
    plain = FormatPrompt(CHOICES_TEMPLATE)(replace(PROBLEM, choices=()))
    assert plain.startswith("<image>Find x.\nYou FIRST think about")


@pytest.mark.parametrize(
    ("question", "listed"),
    [
        ("(A) 22 (B) 31 (C) 43 (D) 620", False),
        ("(A) 22 (B) 31 (C) 43 (D) 62.5", False),
        ("(A) 22. (B) 31. (C) 43. (D) 62.", True),
        ("A. 22 B. 31 C. 43 D. 62", True),
        ("A: 22, B: 31, C: 43, D: 62", True),
        ("A) 22 B) 31 C) 43 D) 62", True),
        ("(A)22(B)31(C)43(D)62", True),
        ("(A) 22 (B) 31 (C) 43", False),
        ("(B) 31 (A) 22 (C) 43 (D) 62", False),
        ("22 31 43 62", False),
        ("", False),
    ],
)
def test_which_questions_list_their_choices(question: str, listed: bool) -> None:
    assert lists_choices(replace(PROBLEM, question=question)) is listed
    assert not lists_choices(replace(PROBLEM, question=question, choices=()))


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (RIGHT, 1.0),
        ("\n" + RIGHT + "\n", 1.0),
        (r"<think>a \boxed{1}</think> \boxed{2}", 1.0),
        (r"<think> </think> \boxed{2}", 0.0),
        (r"<think>a</think> \boxed{}", 0.0),
        (r"<think>a</think> \boxed{2", 0.0),
        (r"<think>a \boxed{2}</think>", 0.0),
        (r"a</think> \boxed{2}", 0.0),
        (r"<think>a \boxed{2}", 0.0),
        (r"So <think>a</think> \boxed{2}", 0.0),
        (r"<think>a</think><think>b</think> \boxed{2}", 0.0),
        (r"\boxed{2}", 0.0),
        ("", 0.0),
    ],
)
def test_format_reward(response: str, expected: float) -> None:
    assert format_reward(response) == expected


def test_format_reward_takes_linear_time() -> None:
    started = time.process_time()
    for bulk in (" " * 10**6, "<think>" * 10**5, "{" * 10**6):
        format_reward(f"<think>{bulk}</think>{bulk}" + r"\boxed{1}")
    assert time.process_time() - started < 3


def test_the_total_weights_accuracy_and_format() -> None:
    unformatted = judge(r"\boxed{31}", PROBLEM, accuracy_reward, 0.1)
    assert (unformatted.total, unformatted.accuracy, unformatted.format) == (0.9, 1.0, 0.0)
    wrong = judge(r"<think>a</think>\boxed{30}", PROBLEM, accuracy_reward, 0.1)
    assert (wrong.total, wrong.accuracy, wrong.format) == (0.1, 0.0, 1.0)
    assert wrong.reason == "not equal to the truth"


@settings(deadline=None)
@given(st.text(), st.floats(0, 1))
def test_total_stays_between_zero_and_one(response: str, weight: float) -> None:
    assert 0 <= judge(response, PROBLEM, accuracy_reward, weight).total <= 1


def write_plug_in(folder: Path, body: str) -> str:
    file = folder / "mine.py"
    file.write_text(body)
    return f"{file}:score"


def test_a_plug_in_replaces_the_accuracy_term(tmp_path: Path) -> None:
    body = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Scale:\n    by: float\n"
        "def score(response, problem):\n    return Scale(0.5).by if problem.answer in response else 0\n"
    )
    function = load_reward_function(write_plug_in(tmp_path, body))
    reward = judge(RIGHT, PROBLEM, function, 0.5)
    assert (reward.total, reward.accuracy, reward.format) == (0.75, 0.5, 1.0)
    assert "mine.py:score" in reward.reason
    assert judge("30", PROBLEM, function, 0.0).total == 0.0


def test_the_default_is_the_verifier() -> None:
    assert load_reward_function("accuracy") is accuracy_reward


@pytest.mark.parametrize(
    ("response", "accuracy", "verdict"),
    [
        ("<think>so \\boxed{5\\sqrt{12}}</think>", 1.0, "right"),  # the verifier reads no box in the thinking
        ("<think>so \\boxed{1}</think> \\boxed{17}", 0.0, "wrong"),
        ("<think>so</think><answer>10\\sqrt{3}</answer>", 0.0, "no_answer"),
    ],
)
def test_mathruler_judges_the_last_box(response: str, accuracy: float, verdict: str) -> None:
    pytest.importorskip("mathruler")
    problem = Problem("geo-8", "Find x.", "10 \\sqrt { 3 }")
    function = load_reward_function("mathruler")
    check_reward_function(function, problem)
    reward = judge(response, problem, function, 0.5)
    assert (reward.accuracy, reward.verdict) == (accuracy, verdict)
    assert reward.total == 0.5 * accuracy + 0.5 * reward.format
    assert function(response, problem) == accuracy


def test_mathruler_that_is_not_installed_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(install, "version", missing)
    with pytest.raises(UserError, match="mathruler is not installed; pip install"):
        load_reward_function("mathruler")


@pytest.mark.parametrize("value", [1.5, -0.1, float("nan"), float("inf"), 10**400, None, "1", [1.0], 1 + 0j])
def test_a_value_outside_zero_to_one_is_rejected(value: Any) -> None:
    def score(response: str, problem: Problem) -> Any:
        return value

    with pytest.raises(UserError) as caught:
        judge(RIGHT, PROBLEM, score, 0.0)
    for part in ("test_rewards.py", "score", "geo-7", repr(value)[:30]):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        0,
        1,
        True,
        0.25,
        np.float32(0.5),
        np.float64(1.0),
        np.bool_(True),
        np.int8(1),
        Fraction(1, 4),
        Decimal("0.5"),
        torch.tensor(0.5),
    ],
)
def test_numbers_of_any_type_are_accepted(value: Any) -> None:
    assert judge(RIGHT, PROBLEM, lambda response, problem: value, 0.0).total == float(value)


@pytest.mark.parametrize("body", ["def score(r, p):\n    raise KeyboardInterrupt", "raise KeyboardInterrupt"])
def test_an_interrupt_inside_a_plug_in_stops_the_run(tmp_path: Path, body: str) -> None:
    """As Ctrl-C does: exit code 130 (128 + SIGINT), resumable."""
    with pytest.raises(Stopped) as caught:
        judge(RIGHT, PROBLEM, load_reward_function(write_plug_in(tmp_path, body + "\n")), 0.0)
    assert caught.value.exit_code == 130


def test_a_plug_in_that_exits_is_an_error(tmp_path: Path) -> None:
    function = load_reward_function(write_plug_in(tmp_path, "def score(r, p):\n    raise SystemExit(0)\n"))
    with pytest.raises(UserError, match="geo-7: raised SystemExit"):
        judge(RIGHT, PROBLEM, function, 0.0)


def test_the_error_names_a_plug_in_that_raises(tmp_path: Path) -> None:
    function = load_reward_function(write_plug_in(tmp_path, "def score(r, p):\n    raise KeyError('boom')\n"))
    with pytest.raises(UserError) as caught:
        judge(RIGHT, PROBLEM, function, 0.0)
    for part in ("mine.py", "score", "geo-7", "KeyError", "boom"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("body", "name", "message"),
    [
        ("x = 1", "score", "no function 'score'"),
        ("score = 1", "score", "no function 'score'"),
        ("import nowhere_at_all", "score", "ModuleNotFoundError"),
        ("def score(:", "score", "SyntaxError"),
        ("import sys\nsys.exit(0)", "score", "SystemExit"),
    ],
)
def test_a_broken_plug_in_file_is_named(tmp_path: Path, body: str, name: str, message: str) -> None:
    spec = write_plug_in(tmp_path, body)
    with pytest.raises(UserError, match=message) as caught:
        load_reward_function(spec)
    assert "mine.py" in str(caught.value)


@pytest.mark.parametrize(
    "spec", ["missing.py:score", "accurcy", "file.py", "file.py:", ":score", "file.py:a b", ""]
)
def test_an_invalid_plug_in_spec_is_refused(spec: str) -> None:
    with pytest.raises(UserError):
        load_reward_function(spec)
