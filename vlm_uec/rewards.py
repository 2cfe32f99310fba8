"""Rewards: accuracy, from the verifier, mathruler or a user's plug-in function, and a format reward.

The two are kept separate: accuracy alone decides which prompts are difficult. A mixed score never reaches
zero, which would silently disable exploration.
"""

from __future__ import annotations

import importlib.util
import logging
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import SupportsFloat, cast

from vlm_uec.errors import Stopped, UserError
from vlm_uec.escape import escape
from vlm_uec.mathruler.client import Grade, shared_grader
from vlm_uec.mathruler.install import check_installed
from vlm_uec.types import Problem, Reward
from vlm_uec.verifier import Strictness, Verdict, verify
from vlm_uec.verifier.extract import last_box
from vlm_uec.verifier.strictness import DEFAULT
from vlm_uec.verifier.verify import VerdictKind

RewardFunction = Callable[[str, Problem], float]  # (response, problem) -> accuracy in [0, 1]

log = logging.getLogger(__name__)

THINK, THINK_END = "<think>", "</think>"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def accuracy_reward(response: str, problem: Problem) -> float:
    """1.0 if the verifier accepts the answer, else 0.0. Choices are used only if the question lists them."""
    return float(verdict_on(response, problem, None).correct)


def mathruler_reward(response: str, problem: Problem) -> float:
    """1.0 if mathruler accepts the last box, else 0.0: the accuracy of EasyR1 and of the UEC reference."""
    return float(shared_grader().grade(response, problem.answer).correct)


def verdict_on(
    response: str,
    problem: Problem,
    prompt: Callable[[Problem], str] | None,
    strictness: Strictness = DEFAULT,
) -> Verdict:
    """The verifier's verdict; `prompt` and `strictness` as for `judge`."""
    shown = replace(problem, question=prompt(problem)) if prompt and problem.choices else problem
    # Otherwise guessed letters would score 25 % on questions that do not list the choices.
    choices = problem.choices if lists_choices(shown) else None
    return verify(
        response, problem.answer, choices=choices, precision=problem.precision, strictness=strictness
    )


def format_reward(response: str) -> float:
    r"""1.0 if the response is `<think>`, reasoning, `</think>` and a non-empty `\boxed{}`; else 0.0."""
    text = response.strip()
    has_one_block = text.count(THINK) == 1 and text.count(THINK_END) == 1
    if not has_one_block or not text.startswith(THINK):
        return 0.0
    reasoning, _, conclusion = text.removeprefix(THINK).partition(THINK_END)
    return float(bool(reasoning.strip()) and bool((last_box(conclusion) or "").strip()))


def lists_choices(problem: Problem) -> bool:
    """Whether the question lists every choice after its letter, as `(A) 12`, `A. 12`, `A: 12` or `A) 12`."""
    start = 0
    for letter, choice in zip(_LETTERS, problem.choices, strict=False):
        # The choice must end here: "1" is not listed by "(A) 12" or "(A) 1.5".
        pattern = rf"(?<![A-Za-z]){letter}\s*[).:]\s*{re.escape(choice)}(?!\w|\.\d)"
        shown = re.compile(pattern).search(problem.question, start)
        if shown is None:
            return False
        start = shown.end()
    return 0 < len(problem.choices) <= len(_LETTERS)


def load_reward_function(spec: str) -> RewardFunction:
    """`accuracy`, `mathruler`, or a user's function as "path/to/file.py:function".

    The file runs with the user's rights. Raises UserError if the file or function is missing or invalid, or
    if mathruler is not installed.
    """
    if spec == "accuracy":
        return accuracy_reward
    if spec == "mathruler":
        check_installed()
        return mathruler_reward
    file, colon, name = spec.rpartition(":")
    if not colon or not name.isidentifier():
        raise UserError(
            f'reward.function {spec!r}: write "accuracy", "mathruler" or "path/to/file.py:function"'
        )
    function = getattr(_load_module(Path(file)), name, None)
    if not callable(function):
        raise UserError(f"reward.function {spec!r}: {file} has no function {name!r}")
    return cast(RewardFunction, function)


def check_reward_function(function: RewardFunction, problem: Problem) -> None:
    """Calls a function with an empty and a correct response, to find errors before the first rollout.

    Raises UserError if a plug-in raises or returns anything but a number in [0, 1], or if mathruler cannot be
    imported.
    """
    if function is not accuracy_reward:
        for response in ("", f"\\boxed{{{problem.answer}}}"):
            judge(response, problem, function, 0.0)


def judge(
    response: str,
    problem: Problem,
    function: RewardFunction,
    format_weight: float,
    *,
    prompt: Callable[[Problem], str] | None = None,
    strictness: Strictness = DEFAULT,
) -> Reward:
    """The reward of one response: `(1 - w) * accuracy + w * format`.

    `prompt`: returns the text shown for a problem, which may list choices that the question does not.
    `strictness`: where `accuracy_reward` looks for the answer; other functions decide this themselves.
    Raises UserError if a plug-in raises or returns anything but a number in [0, 1].
    """
    kind: VerdictKind | None = None
    if function is accuracy_reward:
        verdict = verdict_on(response, problem, prompt, strictness)
        accuracy, reason, kind = float(verdict.correct), verdict.reason, verdict.kind
    elif function is mathruler_reward:
        grade = shared_grader().grade(response, problem.answer)
        accuracy, reason, kind = float(grade.correct), grade.reason, _kind(grade)
    else:
        accuracy = _plug_in_accuracy(response, problem, function)
        reason = f"{_location(function)} returned {accuracy:g}"
    form = format_reward(response)
    return Reward((1 - format_weight) * accuracy + format_weight * form, accuracy, form, reason, kind)


def _kind(grade: Grade) -> VerdictKind:
    if grade.correct:
        return "right"
    return "no_answer" if grade.extracted is None else "wrong"


def _plug_in_accuracy(response: str, problem: Problem, function: RewardFunction) -> float:
    where = f"reward function {_location(function)}, problem {escape(problem.id)}"
    try:
        value = function(response, problem)
    except KeyboardInterrupt as error:
        raise _interrupted(where) from error
    except (Exception, SystemExit) as error:
        raise UserError(f"{where}: raised {type(error).__name__}: {error}") from error
    number = _as_number(value)
    # The comparison also rejects NaN.
    if number is None or not 0 <= number <= 1:
        raise UserError(f"{where}: returned {escape(repr(value))}; return a number from 0 to 1")
    return number


def _as_number(value: object) -> float | None:
    """Python's, numpy's and torch's scalars, decimals and fractions; None for texts, arrays and the rest."""
    if isinstance(value, str | bytes | bytearray) or getattr(value, "ndim", 0) != 0:
        return None
    try:
        return float(cast(SupportsFloat, value))
    except Exception:  # `__float__` of any class can raise anything
        return None


def _interrupted(where: str) -> Stopped:
    """Ends the run as Ctrl-C does: resumable, on all ranks."""
    log.info("%s: interrupted, stopping", where)
    return Stopped(signal.SIGINT)


def _location(function: RewardFunction) -> str:
    code = getattr(function, "__code__", None)
    name = getattr(function, "__name__", type(function).__name__)
    return f"{code.co_filename}:{name}" if code else name


def _load_module(path: Path) -> object:
    if not path.is_file():
        raise UserError(f"reward.function: no such file: {path}")
    # dataclasses and pickle need the module in sys.modules, under a unique name.
    name = f"vlm_uec_plug_in_{blake2b(str(path.resolve()).encode(), digest_size=8).hexdigest()}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"reward.function: {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt as error:
        raise _interrupted(f"reward.function {path}") from error
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UserError(f"reward.function: {path} fails to load: {type(error).__name__}: {error}") from error
    return module
