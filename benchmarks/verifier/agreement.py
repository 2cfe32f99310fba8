"""Agreement with the published scores of real responses, and the rule behind every disagreement.

    python benchmarks/verifier/agreement.py --data DATA [--all]

`DATA/geometry3k/model_outputs` holds Qwen2.5-VL-7B's responses to the test split with scores from verl's
reward (the last box anywhere, compared by mathruler). To explain a disagreement, the response is judged again
with the boxes inside the thinking accepted, as the recorded scorer did. If the verdicts then agree, rule 1 is
the cause; otherwise it is the rule of the verdict.

The last table shows what `reward.thinking` and `reward.statements` change: of all responses, how many have an
answer, and of those with a known problem, how many verdicts are right and how many agree.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.verifier.recorded import recorded_responses, recorded_rows
from vlm_uec.verifier import verify
from vlm_uec.verifier.strictness import Strictness

SETTINGS = (
    Strictness(),
    Strictness(thinking="accept"),
    Strictness(statements="boxed_only"),
    Strictness(thinking="accept", statements="boxed_only"),
)
RULE_1 = "rule 1: the box is inside the thinking and nothing follows it"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--all", action="store_true", help="print every disagreement, not three per rule")
    args = parser.parse_args()
    rows = recorded_rows(args.data)
    table: Counter[tuple[bool, bool]] = Counter()
    disagreements: dict[str, list[str]] = {}
    for row in rows:
        correct = verify(row["response"], row["answer"]).correct
        table[row["right"], correct] += 1
        if correct != row["right"]:
            disagreements.setdefault(_cause(row), []).append(_line(row))
    _print_table(table)
    for cause, lines in disagreements.items():
        print(f"\n{len(lines)} x {cause}")
        print("\n".join(lines if args.all else lines[:3]))
    _print_settings([row["response"] for row in recorded_responses(args.data).values()], rows)


def _cause(row: dict[str, Any]) -> str:
    """The rule that causes the disagreement, and its reason."""
    with_thinking = verify(row["response"], row["answer"], strictness=Strictness(thinking="accept"))
    if with_thinking.correct == row["right"]:
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


def _print_settings(responses: list[str], rows: list[dict[str, Any]]) -> None:
    print(f"\n{'thinking':10}{'statements':12}{f'answers of {len(responses)}':>16}", end="")
    print(f"{f'right of {len(rows)}':>16}{'agree':>8}")
    for setting in SETTINGS:
        answers = sum(verify(text, "0", strictness=setting).kind != "no_answer" for text in responses)
        verdicts = [verify(row["response"], row["answer"], strictness=setting).correct for row in rows]
        agreed = sum(correct == row["right"] for correct, row in zip(verdicts, rows, strict=True))
        counts = f"{answers:>16}{sum(verdicts):>16}{agreed:>8}"
        print(f"{setting.thinking:10}{setting.statements:12}{counts}")


if __name__ == "__main__":
    main()
