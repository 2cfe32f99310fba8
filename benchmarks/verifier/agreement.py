"""Agreement with the scores recorded for real responses, and every disagreement with the rule behind it.

    python benchmarks/verifier/agreement.py --data DATA [--all]

`DATA/geometry3k/model_outputs` holds Qwen2.5-VL-7B's responses to the test split with the scores that verl's
reward (the last box anywhere, compared by mathruler) gave them. A flip is explained by rule: each disagreeing
response is judged a second time with the thinking's own boxes let in, as the recorded scorer did. If the two
then agree, rule 1 alone is behind the flip; else the verdict's own rule is.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, the repository's root is not on the path

from benchmarks.lib.verifier.recorded import recorded_rows
from vlm_uec.verifier import verify

RULE_1 = "rule 1: the box stands inside the thinking and nothing follows it"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--all", action="store_true", help="every disagreement, not three of each rule")
    args = parser.parse_args()
    table: Counter[tuple[bool, bool]] = Counter()
    flips: dict[str, list[str]] = {}
    for row in recorded_rows(args.data):
        correct = verify(row["response"], row["answer"]).correct
        table[row["right"], correct] += 1
        if correct != row["right"]:
            flips.setdefault(_judgement(row), []).append(_line(row))
    _print_table(table)
    for judgement, lines in flips.items():
        print(f"\n{len(lines)} x {judgement}")
        print("\n".join(lines if args.all else lines[:3]))


def _judgement(row: dict[str, Any]) -> str:
    """Which rule flips this response, whatever its content."""
    opened = verify(row["response"].replace("</think>", ""), row["answer"])
    if opened.correct == row["right"]:
        return RULE_1
    verdict = verify(row["response"], row["answer"])
    return f"rule {verdict.rule}: {verdict.reason}"


def _line(row: dict[str, Any]) -> str:
    end = re.sub(r"\s+", " ", row["response"][-90:])
    recorded = "right" if row["right"] else "wrong"
    return f"  row {row['row']:3}  truth {row['answer']!r}  recorded {recorded}  ...{end}"


def _print_table(table: Counter[tuple[bool, bool]]) -> None:
    total = table.total()
    agreed = table[True, True] + table[False, False]
    print(f"{total} responses with a known problem; {agreed} verdicts agree ({100 * agreed / total:.1f} %)")
    for recorded in (True, False):
        for ours in (True, False):
            names = ("right" if recorded else "wrong", "right" if ours else "wrong")
            print(f"  recorded {names[0]}, ours {names[1]}: {table[recorded, ours]}")


if __name__ == "__main__":
    main()
