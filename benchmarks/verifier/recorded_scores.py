"""Reproduces the published scores of 601 responses with mathruler, row by row.

    python benchmarks/verifier/recorded_scores.py --data DATA

`DATA/geometry3k/model_outputs` holds Qwen2.5-VL-7B's responses to the test split, with scores of verl's geo3k
reward: 0.9 x right + 0.1 x format. The format part needs the response only; the other part also the problem's
answer. The problem is known for 329 rows. These matches used text, numbers in the diagram, and partly the
scores, so for them "reproduced" is weaker than for independent matches. The script also reports what can be
said about the other rows without using their scores to find their problems.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.verifier.recorded import json_lines, recorded_responses, recorded_rows
from benchmarks.lib.verifier.recorded_scores import FORMAT, Row, format_part, quoted_problem, reproduced
from vlm_uec.mathruler.client import Grader
from vlm_uec.verifier import verify


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    data: Path = parser.parse_args().data
    responses, known = recorded_responses(data), recorded_rows(data)
    problems = {problem["id"]: problem for problem in json_lines(data / "geometry3k" / "test.jsonl")}
    grader = Grader()
    grader.grade("", "")  # starts the process
    _report_format(responses.values())
    _report_scores(known, grader)
    _report_flips(known, grader)
    _report_others(responses, known, problems, grader)
    _report_speed(responses, known, grader)
    grader.close()


def _report_format(responses: Iterable[Row]) -> None:
    agree = [format_part(row["score"]) == bool(FORMAT.fullmatch(row["response"])) for row in responses]
    print(f"format part: reproduced for {sum(agree)} of {len(agree)} responses")


def _report_scores(known: Sequence[Row], grader: Grader) -> None:
    scores = [(row, reproduced(row, grader)) for row in known]
    wrong = [(row, score) for row, score in scores if score != round(row["score"], 6)]
    print(f"score: reproduced for {len(known) - len(wrong)} of {len(known)} responses with a known problem")
    print("  (these problems were found by text, numbers in the diagram, and partly by the scores)")
    for row, score in wrong:
        box = grader.grade(row["response"], row["answer"]).extracted
        print(
            f"  row {row['row']}: recorded {row['score']:g}, here {score:g}; {row['answer']!r}, box {box!r}"
        )


def _report_flips(known: Sequence[Row], grader: Grader) -> None:
    table = Counter(
        (grader.grade(row["response"], row["answer"]).correct, verify(row["response"], row["answer"]).correct)
        for row in known
    )
    words = {True: "right", False: "wrong"}
    print(f"verdicts that differ from this project's verifier: {table[True, False] + table[False, True]}")
    for (theirs, ours), count in sorted(table.items(), reverse=True):
        print(f"  mathruler {words[theirs]}, verifier {words[ours]}: {count}")


def _report_others(
    responses: Mapping[int, Row], known: Sequence[Row], problems: Mapping[int, Row], grader: Grader
) -> None:
    """What is known about rows without a problem. Their own scores must not choose their problems."""
    ids = {row["row"]: row["id"] for row in known}
    others = [row for number, row in responses.items() if number not in ids]
    remaining = {problem["answer"] for name, problem in problems.items() if name not in ids.values()}
    print(f"{len(others)} responses without a known problem:")
    _report_order(ids)
    _report_quotes(responses, ids, problems)
    right = [row["response"] for row in others if row["score"] > 0.5]
    possible = sum(any(grader.grade(text, answer).correct for answer in remaining) for text in right)
    print(
        f"  necessary condition: {len(right)} are recorded as right; for {possible} of them mathruler accepts"
    )
    print("    the box for the answer of some remaining problem")
    print("  their scores cannot be checked beyond that")


def _report_order(ids: Mapping[int, int]) -> None:
    ordered = [ids[number] for number in sorted(ids)]
    descents = sum(before > after for before, after in pairwise(ordered))
    print(
        f"  by order: the known ids fall {descents} times in {len(ordered) - 1} steps, so order says nothing"
    )


def _report_quotes(responses: Mapping[int, Row], ids: Mapping[int, int], problems: Mapping[int, Row]) -> None:
    quoted = {number: quoted_problem(row["response"], problems) for number, row in responses.items()}
    hits = [quoted[number] == name for number, name in ids.items() if quoted[number] is not None]
    new = [number for number, name in quoted.items() if name is not None and number not in ids]
    print(
        f"  by quoted question: {len(new)} rows quote one; on known rows the quoted problem is the known one"
    )
    print(f"    {sum(hits)} times of {len(hits)}, so it is not reliable")


def _report_speed(responses: Mapping[int, Row], known: Sequence[Row], grader: Grader) -> None:
    """Of all responses; the truth of a row without a known problem is another row's."""
    truths = {row["row"]: str(row["answer"]) for row in known}
    other = str(known[0]["answer"])
    pairs = [(row["response"], truths.get(number, other)) for number, row in responses.items()]
    started = time.perf_counter()
    for response, truth in pairs:
        grader.grade(response, truth)
    seconds = time.perf_counter() - started
    print(f"speed: {len(pairs) / seconds:,.0f} verdicts/s in one process, {len(pairs)} responses")


if __name__ == "__main__":
    main()
