"""Fuzzes the verifier with a million hostile strings: no exceptions, slow calls or changing verdicts.

    python benchmarks/robustness/fuzz_verifier.py [--count 1000000] [--seed 1]

Prints a summary and exits with 1 if a call failed. Strings are LaTeX fragments in random order, spellings of
answers with random edits, deep nesting, towers of powers, broken Unicode and long repetitions. For manual
review it also prints texts that were judged right although they do not contain the truth as spelled.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from vlm_uec.verifier import verify

MAX_SECONDS = 0.5  # of CPU time per verdict
REPEAT_EVERY = 50  # calls; one of them is made twice
SHOWN_TEXTS = 25
TRUTHS = [
    "12", "8.7", "-83", r"3 \sqrt { 3 }", r"\frac { 3 5 } { 4 }", r"4 9 \pi", "2:7", "90-w", "20 y^2 - 10 y",
    "x < 60", "a + b = 90", "(4, -7)", "[1998, 2003]", "sphere", "not enough information", "45%", "39cm",
    r"52 ^ \circ", "B", r"4 \frac { 2 } { 5 }", r"\angle 8 \cong \angle 2", "160√{3}m", "", "x = 3, y = 5",
]  # fmt: skip
BRACKETS = [
    ("(", ")"), ("{", "}"), ("[", "]"), (r"\frac{1}{", "}"), (r"\sqrt{", "}"), ("9^{", "}"),
    (r"\boxed{", "}"), (r"\text{", "}"), ("-(", ")"), (r"\left(", r"\right)"), ("<answer>", "</answer>"),
]  # fmt: skip
FRAGMENTS = [
    *"0123456789.,+-*/^(){}[]=<>:;%|~_'\"!?&$#@√π°½²′∠≈±≤，。：（）AxBmei \n\t\\", r"\frac", r"\frac{",
    r"\sqrt", r"\sqrt[3]", r"\pi", r"\boxed{", r"\boxed ", r"\text{", r"\approx", r"^\circ", r"\left(",
    r"\right)", r"\angle ", r"\overline{", "<answer>", "</answer>", "<think>", "</think>", " or ", " and ",
    " not ", "The answer is ", "答案是", "故选", "cm", " degrees", "{,}", "**", "^{12", "9^9", "sin",
    r"\cong", "(A)", "(B) ", "\ud800", "\u202e", "\u200b", "\x00", "１", "٣", "𝟐", "1e", "0.", r"\ldots",
    "...", "nan", "inf", r"\infty", "__import__('os')", "lambda:", "\\\\", r"\pm", r"\le", "x = ",
    "= 12", "12",
]  # fmt: skip


@dataclass
class VerifierReport:
    kinds: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    slow: list[str] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    right: dict[str, str] = field(default_factory=dict)  # extracted text -> truth

    @property
    def failed(self) -> bool:
        return bool(self.slow or self.raised or self.changed)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    report, started = VerifierReport(), time.process_time()
    for number in range(args.count):
        _try_string(rng, number, report)
    _print_report(report, args.count, time.process_time() - started)
    sys.exit(1 if report.failed else 0)


def _try_string(rng: random.Random, number: int, report: VerifierReport) -> None:
    truth = rng.choice(TRUTHS)
    response = _response(rng, truth)
    choices = [truth, "31", _random_fragments(rng, 4)] if rng.random() < 0.2 else None
    precision = rng.choice([None, None, None, 1, 2])
    started = time.process_time()
    try:
        verdict = verify(response, truth, choices=choices, precision=precision)
    except Exception as error:
        report.raised.append(f"{type(error).__name__} {response[:200]!r}")
        return
    seconds = time.process_time() - started
    report.slowest = max(report.slowest, seconds)
    if seconds > MAX_SECONDS:
        report.slow.append(f"{seconds:.2f} s {response[:200]!r}")
    report.kinds[verdict.kind] += 1
    if verdict.correct and verdict.extracted and len(report.right) < 10**5:
        report.right[verdict.extracted] = truth
    if (
        number % REPEAT_EVERY == 0
        and verify(response, truth, choices=choices, precision=precision) != verdict
    ):
        report.changed.append(repr(response[:200]))


def _response(rng: random.Random, truth: str) -> str:
    text = rng.choice([_random_fragments, _edited, _edited, _nested, _repeated])(rng, truth)
    frame = rng.choice(
        [r"\boxed{%s}", r"\boxed{%s}", "<answer>%s</answer>", "The answer is %s.", "答案是%s。", "%s"]
    )
    response = frame.replace("%s", text)
    return f"<think>{_random_fragments(rng, 3)}</think>{response}" if rng.random() < 0.5 else response


def _random_fragments(rng: random.Random, length: object) -> str:
    most = length if isinstance(length, int) else rng.choice([4, 12, 40, 150])
    return "".join(rng.choices(FRAGMENTS, k=rng.randint(0, most)))


def _edited(rng: random.Random, truth: str) -> str:
    """The truth with one to four fragments inserted, removed or replaced."""
    text = truth
    for _ in range(rng.randint(1, 4)):
        position = rng.randint(0, len(text))
        text = (
            text[:position] + rng.choice(["", rng.choice(FRAGMENTS)]) + text[position + rng.randint(0, 1) :]
        )
    return text


def _nested(rng: random.Random, truth: str) -> str:
    opening, closing = rng.choice(BRACKETS)
    depth = rng.choice([1, 3, 10, 23, 24, 25, 60, 300])
    return opening * depth + truth + closing * (depth - rng.choice([0, 0, 0, 1]))


def _repeated(rng: random.Random, truth: str) -> str:
    return rng.choice(FRAGMENTS) * rng.choice([2, 5, 20, 100, 400, 2000]) + rng.choice([truth, ""])


def _print_report(report: VerifierReport, count: int, seconds: float) -> None:
    print(f"{count:,} strings in {seconds:.0f} s of CPU time ({count / seconds:,.0f} per second)")
    print("verdicts: " + ", ".join(f"{kind} {number:,}" for kind, number in report.kinds.most_common()))
    print(
        f"raised {len(report.raised)}, over {MAX_SECONDS} s {len(report.slow)}, changed {len(report.changed)}"
    )
    print(f"slowest verdict {1000 * report.slowest:.0f} ms")
    for line in [*report.raised, *report.slow, *report.changed][:20]:
        print(f"  {line}")
    respelled = {
        text: truth for text, truth in report.right.items() if _stripped(truth) not in _stripped(text)
    }
    print(f"{len(respelled):,} texts judged right do not contain the truth as spelled; some of them:")
    for text in sorted(respelled, key=_scattered_order)[:SHOWN_TEXTS]:
        print(f"  {respelled[text]!r:28} {text!r}")


def _stripped(text: str) -> str:
    return re.sub(r"[\s${}]", "", text)


def _scattered_order(text: str) -> tuple[int, str]:
    """A sort key that is the same in every run and separates similar texts."""
    return (sum(map(ord, text)) % 101, text)


if __name__ == "__main__":
    main()
