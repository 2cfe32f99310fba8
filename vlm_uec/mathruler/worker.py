"""The process that runs mathruler: `python -m vlm_uec.mathruler.worker CPU_SECONDS MEMORY_BYTES`.

Reads one JSON object per line from stdin and answers each with one line. It ends when stdin closes, so it
does not outlive the process that started it. mathruler catches every exception, alarms included, so only the
operating system can stop a verdict: the CPU limit kills this process.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from vlm_uec.mathruler.guard import refusal

NO_BOX = "None"  # mathruler's extraction if the last box is missing or not closed
MAX_ANSWER = 2000  # characters

Reply = dict[str, Any]


class GuardedParser:
    """mathruler's parser behind the guard; remembers the last refusal, as mathruler hides exceptions."""

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self._parse = parse
        self.refused: str | None = None

    def __call__(self, expression: str) -> Any:
        if reason := refusal(expression):
            self.refused = reason
            raise ValueError(reason)
        return self._parse(expression)


def grade(grader: Any, parser: GuardedParser, text: str, truth: str) -> Reply:
    """The verdict of the module `grader` on the last box of `text`."""
    extracted = grader.extract_boxed_content(text)
    if max(len(extracted), len(truth)) > MAX_ANSWER:
        return _reply(False, extracted[:MAX_ANSWER], f"longer than {MAX_ANSWER} characters")
    parser.refused = None
    try:
        correct = bool(grader.grade_answer(extracted, truth))
    except Exception as error:  # a trainer that calls mathruler directly would end here
        return _reply(False, extracted, f"mathruler raised {type(error).__name__}")
    if parser.refused and not correct:
        return _reply(False, extracted, f"not the same text, and not evaluated: {parser.refused}")
    where = "no closed \\boxed{}" if extracted == NO_BOX else "the last box"
    return _reply(correct, extracted, f"{where}: {'' if correct else 'not '}equal for mathruler")


def _reply(correct: bool, extracted: str, reason: str) -> Reply:
    return {"correct": correct, "extracted": extracted, "reason": reason}


def _allow_cpu_seconds(seconds: int) -> None:
    """Kills this process when it has computed for `seconds` more."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    limit = int(usage.ru_utime + usage.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (_lower(limit, most), most))


def _lower(limit: int, most: int) -> int:
    """The limit, unless the environment's is lower: it cannot be raised."""
    return limit if most == resource.RLIM_INFINITY else min(limit, most)


def _send(reply: Reply) -> None:
    print(json.dumps(reply), flush=True)


def main() -> None:
    cpu_seconds, memory = map(int, sys.argv[1:])
    memory = _lower(memory, resource.getrlimit(resource.RLIMIT_AS)[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        grader: Any = import_module("mathruler.grader")
        parser = grader._sympy_parse = GuardedParser(grader._sympy_parse)
    except Exception as error:
        _send({"error": f"{type(error).__name__}: {error}"})
        return
    _send({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        _allow_cpu_seconds(cpu_seconds)
        _send(grade(grader, parser, request["text"], request["truth"]))


if __name__ == "__main__":
    main()
