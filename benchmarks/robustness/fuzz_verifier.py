"""A million hostile strings through the verifier: nothing may raise, be slow, or change its mind.

    python benchmarks/robustness/fuzz_verifier.py [--count 1000000] [--seed 1]

Prints what was seen, and exits 1 when anything went wrong. Strings are LaTeX fragments in random order,
real spellings of answers with random edits, deep nesting, towers of powers, broken Unicode and long repeats.
Samples of what was judged right without being a plain spelling of the truth are printed too, for people to
read.
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

LIMIT = 0.5  # seconds of CPU time for one verdict
REPEAT_EVERY = 50  # one call in so many is made twice
SAMPLES = 25
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
class Report:
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
    source = random.Random(args.seed)
    report, started = Report(), time.process_time()
    for number in range(args.count):
        _try_one(source, number, report)
    _print_report(report, args.count, time.process_time() - started)
    sys.exit(1 if report.failed else 0)


def _try_one(source: random.Random, number: int, report: Report) -> None:
    truth = source.choice(TRUTHS)
    response = _response(source, truth)
    choices = [truth, "31", _soup(source, 4)] if source.random() < 0.2 else None
    precision = source.choice([None, None, None, 1, 2])
    started = time.process_time()
    try:
        verdict = verify(response, truth, choices=choices, precision=precision)
    except Exception as error:
        report.raised.append(f"{type(error).__name__} {response[:200]!r}")
        return
    seconds = time.process_time() - started
    report.slowest = max(report.slowest, seconds)
    if seconds > LIMIT:
        report.slow.append(f"{seconds:.2f} s {response[:200]!r}")
    report.kinds[verdict.kind] += 1
    if verdict.correct and verdict.extracted and len(report.right) < 10**5:
        report.right[verdict.extracted] = truth
    if (
        number % REPEAT_EVERY == 0
        and verify(response, truth, choices=choices, precision=precision) != verdict
    ):
        report.changed.append(repr(response[:200]))


def _response(source: random.Random, truth: str) -> str:
    text = source.choice([_soup, _edited, _edited, _nested, _repeated])(source, truth)
    frame = source.choice(
        [r"\boxed{%s}", r"\boxed{%s}", "<answer>%s</answer>", "The answer is %s.", "答案是%s。", "%s"]
    )
    response = frame.replace("%s", text)
    return f"<think>{_soup(source, 3)}</think>{response}" if source.random() < 0.5 else response


def _soup(source: random.Random, length: object) -> str:
    most = length if isinstance(length, int) else source.choice([4, 12, 40, 150])
    return "".join(source.choices(FRAGMENTS, k=source.randint(0, most)))


def _edited(source: random.Random, truth: str) -> str:
    """The truth's own spelling with one to four fragments put in, taken out or written over."""
    text = truth
    for _ in range(source.randint(1, 4)):
        place = source.randint(0, len(text))
        text = (
            text[:place]
            + source.choice(["", source.choice(FRAGMENTS)])
            + text[place + source.randint(0, 1) :]
        )
    return text


def _nested(source: random.Random, truth: str) -> str:
    opening, closing = source.choice(BRACKETS)
    depth = source.choice([1, 3, 10, 23, 24, 25, 60, 300])
    return opening * depth + truth + closing * (depth - source.choice([0, 0, 0, 1]))


def _repeated(source: random.Random, truth: str) -> str:
    return source.choice(FRAGMENTS) * source.choice([2, 5, 20, 100, 400, 2000]) + source.choice([truth, ""])


def _print_report(report: Report, count: int, seconds: float) -> None:
    print(f"{count:,} strings in {seconds:.0f} s of CPU time ({count / seconds:,.0f} a second)")
    print("verdicts: " + ", ".join(f"{kind} {number:,}" for kind, number in report.kinds.most_common()))
    print(f"raised {len(report.raised)}, over {LIMIT} s {len(report.slow)}, changed {len(report.changed)}")
    print(f"slowest verdict {1000 * report.slowest:.0f} ms")
    for line in [*report.raised, *report.slow, *report.changed][:20]:
        print(f"  {line}")
    odd = {text: truth for text, truth in report.right.items() if _bare(truth) not in _bare(text)}
    print(f"{len(odd):,} texts judged right do not spell the truth as the data set does; some of them:")
    for text in sorted(odd, key=_mixed)[:SAMPLES]:
        print(f"  {odd[text]!r:28} {text!r}")


def _bare(text: str) -> str:
    return re.sub(r"[\s${}]", "", text)


def _mixed(text: str) -> tuple[int, str]:
    """An order that is the same in every run and does not put like beside like."""
    return (sum(map(ord, text)) % 101, text)


if __name__ == "__main__":
    main()
