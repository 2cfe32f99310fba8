"""Compares the verifier with math-verify and mathruler: accuracy, false positives and negatives, speed.

    python benchmarks/verifier/peers.py --cases CASES.jsonl --data DATA [--peers DIR]

`--cases`: labelled cases, one JSON object per line: response, answer, expected; optional: choices, precision.
`--data`: the folder with geometry3k/ and mathvista/ (published model outputs).
`--peers`: the installation directory of the peers, separate from this project's environment:

    pip install --target DIR --no-deps math-verify==0.9.0 mathruler==0.1.0 pylatexenc \\
        latex2sympy2_extended==1.11.0 antlr4-python3-runtime==4.13.2

Each peer runs in a separate process, which is killed if a call takes longer than CALL_LIMIT; such a call
counts as a hang and as the verdict "wrong". Speed is verdicts per second of CPU time on one core, without
hangs; ours is the median of REPEATS.
"""

from __future__ import annotations

import argparse
import json
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.verifier.recorded import json_lines, recorded_rows
from vlm_uec.verifier import verify

CALL_LIMIT = 2.0  # seconds
START_LIMIT = 60.0
REPEATS = 7
PEERS = ("mathruler, last box", "math-verify, default", "math-verify, as TRL sets it")


@dataclass(frozen=True)
class Call:
    """Arguments of one verdict. `expected` is None if the response has no label."""

    response: str
    answer: str
    choices: list[str] | None
    precision: int | None
    expected: bool | None


@dataclass(frozen=True)
class PeerResult:
    verdicts: list[bool]
    hangs: int
    per_second: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--serve", choices=PEERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peers:
        sys.path.append(str(args.peers))
    if args.serve:
        _serve(_peer(args.serve))
        return
    peers = PEERS if find_spec("math_verify") and find_spec("mathruler") else ()
    if not peers:
        print("The peers are not installed (see this script's docstring). Only this verifier:\n")
    for title, calls in _call_sets(args.cases, args.data):
        _print_table(title, calls, {name: _run_peer(name, args.peers, calls) for name in peers})


def _call_sets(cases: Path | None, data: Path | None) -> list[tuple[str, list[Call]]]:
    sets = []
    if cases:
        sets.append(("labelled cases", labelled_cases(cases)))
    if data:
        sets.append(("Qwen2.5-VL-7B on Geometry3K, recorded scores after rule 1", geometry3k(data)))
        sets.append(("Qwen2.5-VL-7B on MathVista, unlabelled", mathvista(data)))
        sets.append(("Bard on MathVista, unlabelled", bard(data)))
    return sets


def labelled_cases(path: Path) -> list[Call]:
    cases = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Call(case["response"], case["answer"], case.get("choices"), case.get("precision"), case["expected"])
        for case in cases
    ]


def geometry3k(data: Path) -> list[Call]:
    """Label: the recorded score, or wrong if nothing follows the thinking."""
    calls = []
    for row in recorded_rows(data):
        concluded = bool(row["response"].rpartition("</think>")[2].strip())
        calls.append(Call(row["response"], row["answer"], None, None, row["right"] and concluded))
    return calls


def mathvista(data: Path) -> list[Call]:
    rows = json_lines(data / "mathvista" / "results" / "qwen2.5-vl-7b_testmini.jsonl")
    questions = json.loads((data / "mathvista" / "testmini.json").read_text(encoding="utf-8"))
    return [_mathvista_call(row["response"], questions[row["pid"]]) for row in rows]


def bard(data: Path) -> list[Call]:
    rows = json.loads((data / "mathvista" / "results" / "output_bard.json").read_text(encoding="utf-8"))
    return [_mathvista_call(row["response"], row) for row in rows.values()]


def _mathvista_call(response: str | None, question: dict[str, Any]) -> Call:
    precision = question["precision"]
    return Call(
        response or "",
        question["answer"],
        question["choices"],
        None if precision is None else int(precision),
        None,
    )


def _run_ours(calls: Sequence[Call]) -> PeerResult:
    speeds = []
    for _ in range(REPEATS):
        started = time.process_time()
        verdicts = [
            verify(call.response, call.answer, choices=call.choices, precision=call.precision).correct
            for call in calls
        ]
        speeds.append(len(calls) / (time.process_time() - started))
    return PeerResult(verdicts, 0, statistics.median(speeds))


def _run_peer(name: str, peers: Path | None, calls: Sequence[Call]) -> PeerResult:
    verdicts, hangs, seconds, answered = [], 0, 0.0, 0
    worker = _start(name, peers)
    for call in calls:
        reply = _request(worker, {"response": call.response, "answer": call.answer}, CALL_LIMIT)
        if reply is None:
            hangs += 1
            worker.kill()
            worker.wait()
            worker = _start(name, peers)
            verdicts.append(False)
            continue
        verdicts.append(bool(reply["correct"]))
        seconds += reply["seconds"]
        answered += 1
    worker.kill()
    worker.wait()
    return PeerResult(verdicts, hangs, answered / seconds if seconds else float("nan"))


def _start(name: str, peers: Path | None) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--serve", name]
    worker = subprocess.Popen(
        command + (["--peers", str(peers)] if peers else []),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    if _request(worker, {"response": r"\boxed{1}", "answer": "1"}, START_LIMIT) is None:
        raise SystemExit(f"{name} does not start; for its error run this script with --serve {name!r}")
    return worker


def _request(worker: subprocess.Popen[str], question: dict[str, str], limit: float) -> dict[str, Any] | None:
    assert worker.stdin and worker.stdout
    worker.stdin.write(json.dumps(question) + "\n")
    worker.stdin.flush()
    ready, _, _ = select.select([worker.stdout], [], [], limit)
    line = worker.stdout.readline() if ready else ""
    return json.loads(line) if line else None


def _serve(grade: Callable[[str, str], bool]) -> None:
    """Reads one question per line, writes one verdict per line; an exception is the verdict "wrong"."""
    for line in sys.stdin:
        question = json.loads(line)
        started = time.process_time()
        try:
            correct = bool(grade(question["response"], question["answer"]))
        except Exception:
            correct = False
        print(json.dumps({"correct": correct, "seconds": time.process_time() - started}), flush=True)


def _peer(name: str) -> Callable[[str, str], bool]:
    if name.startswith("mathruler"):
        from mathruler.grader import extract_boxed_content, grade_answer

        return lambda response, answer: grade_answer(extract_boxed_content(response), answer)
    from math_verify import LatexExtractionConfig, parse
    from math_verify import verify as is_equal

    if name.endswith("default"):
        return lambda response, answer: is_equal(parse(f"${answer}$"), parse(response))
    from latex2sympy2_extended import NormalizationConfig

    config = LatexExtractionConfig(
        normalization_config=NormalizationConfig(units=True),
        boxed_match_priority=0,
        try_extract_without_anchor=False,
    )
    return lambda response, answer: is_equal(
        parse(f"${answer}$"),
        parse(response, extraction_config=[config], extraction_mode="first_match"),
    )


def _print_table(title: str, calls: Sequence[Call], peers: dict[str, PeerResult]) -> None:
    results = {"this verifier": _run_ours(calls), **peers}
    ours = results["this verifier"].verdicts
    print(f"\n{title}: {len(calls)} responses")
    labelled = calls[0].expected is not None
    columns = (
        ["accuracy %", "false pos.", "false neg."]
        if labelled
        else ["right", "right, ours not", "ours, not right"]
    )
    print(f"{'':30}" + "".join(f"{column:>17}" for column in [*columns, "hangs", "verdicts/s"]))
    for name, result in results.items():
        expected = [bool(call.expected) for call in calls] if labelled else ours
        pairs = list(zip(result.verdicts, expected, strict=True))
        false_positives = sum(verdict and not right for verdict, right in pairs)
        false_negatives = sum(right and not verdict for verdict, right in pairs)
        accuracy = f"{100 * (1 - (false_positives + false_negatives) / len(pairs)):.1f}"
        first = accuracy if labelled else str(sum(result.verdicts))
        shown = [first, false_positives, false_negatives, result.hangs, f"{result.per_second:,.0f}"]
        print(f"{name:30}" + "".join(f"{value:>17}" for value in shown))


if __name__ == "__main__":
    main()
