"""Checks MathVista's official scorer on Bard's published verdicts; scores Qwen2.5-VL-7B with both scorers.

    python benchmarks/verifier/mathvista_scorers.py --data DATA/mathvista

`--data` holds testmini.json and results/: a complete official result (Bard: extraction, prediction, verdict
and scores), and 999 responses of Qwen2.5-VL-7B without scores. A table counts the latter by the rule that
decided in each scorer; a list of the responses on which the two scorers differ follows.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from eval.mathvista import normalise, official_score
from eval.responses import read_responses, read_testmini
from eval.samples import Score
from vlm_uec.escape import escape
from vlm_uec.rewards import verdict_on
from vlm_uec.types import Problem
from vlm_uec.verifier import Verdict

GROUPS = ("task", "question_type", "answer_type", "source", "grade")


@dataclass(frozen=True)
class Judged:
    """One response with the verdicts of both scorers."""

    problem: Problem
    text: str
    official: Score
    verify: Verdict

    @property
    def rules(self) -> tuple[str, str]:
        verdict = self.verify
        return self.official.rule, f"{verdict.kind.replace('_', ' ')}, rule {verdict.rule}"

    def label(self, key: str) -> str:
        problem = self.problem
        fields = {"question_type": problem.question_type, "answer_type": problem.answer_type}
        return fields[key] if key in fields else str(problem.metadata[key])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    args = parser.parse_args()
    problems = {problem.id: problem for problem in read_testmini(args.data / "testmini.json")}
    print_bard(args.data / "results", problems)
    responses = read_responses(args.data / "results" / "qwen2.5-vl-7b_testmini.jsonl")
    judged = [_judge(problems[response.problem_id], response.text) for response in responses]
    print_accuracies(judged)
    print_rules(judged)


def print_bard(results: Path, problems: Mapping[str, Problem]) -> None:
    rows = json.loads((results / "output_bard.json").read_text(encoding="utf-8"))
    recorded = json.loads((results / "scores_bard.json").read_text(encoding="utf-8"))
    verdicts = {
        pid: official_score(problems[f"mathvista-{pid}"], row["response"], row["extraction"]).correct
        for pid, row in rows.items()
    }
    changed = {
        pid: predicted
        for pid, row in rows.items()
        if (predicted := normalise(row["extraction"], problems[f"mathvista-{pid}"])) != row["prediction"]
    }
    reproduced = sum(verdicts[pid] == row["true_false"] for pid, row in rows.items())
    print(f"Bard: {reproduced} of {len(rows)} official verdicts reproduced")
    print(f"      {len(rows) - len(changed)} of {len(rows)} official predictions reproduced")
    for pid, predicted in changed.items():
        row = rows[pid]
        print(
            f"        pid {pid}, {row['answer_type']}: extraction {escape(row['extraction'])!r}, "
            f"truth {row['answer']!r}, recorded {row['prediction']!r}, now {predicted!r}"
        )
    print_group_accuracies(rows, verdicts, recorded)


def print_group_accuracies(
    rows: Mapping[str, Any], verdicts: Mapping[str, bool], recorded: Mapping[str, Any]
) -> None:
    """Groups by the labels in Bard's records, because later versions of testmini changed some of them."""
    average = _accuracy(sum(verdicts.values()), len(verdicts)) == _figures(recorded["average"])
    entries = [
        (key, value, entry)
        for key, groups in recorded.items()
        if key != "average"
        for value, entry in groups.items()
    ]
    members = [
        [verdicts[pid] for pid, row in rows.items() if value in _labels({**row, **row["metadata"]}, key)]
        for key, value, _ in entries
    ]
    equal = sum(
        _accuracy(sum(group), len(group)) == _figures(entry)
        for group, (_, _, entry) in zip(members, entries, strict=True)
    )
    print(
        f"      average {'equal' if average else 'differs'}; {equal} of {len(entries)} groups' figures equal"
    )


def _labels(fields: Mapping[str, Any], key: str) -> Sequence[str]:
    """The values of a record's field; `skills` has several."""
    value = fields[key]
    return value if isinstance(value, list) else [value]


def _accuracy(right: int, total: int) -> tuple[float, int, int]:
    return round(100 * right / total, 2), right, total


def _figures(entry: Mapping[str, Any]) -> tuple[float, int, int]:
    return float(entry["accuracy"]), entry["correct"], entry["total"]


def _judge(problem: Problem, text: str) -> Judged:
    verdict = verdict_on(text, problem, None)
    return Judged(problem, text, official_score(problem, text), verdict)


def print_accuracies(judged: Sequence[Judged]) -> None:
    print(f"\nQwen2.5-VL-7B, {len(judged)} responses: right according to")
    print(f"{'':42}{'n':>5}{'official':>18}{'verify':>18}")
    _print_row("all", judged)
    for key in GROUPS:
        groups: dict[str, list[Judged]] = {}
        for item in judged:
            groups.setdefault(item.label(key), []).append(item)
        print(key)
        for value in sorted(groups, key=lambda value: (-len(groups[value]), value)):
            _print_row(f"  {escape(value)}", groups[value])


def _print_row(name: str, judged: Sequence[Judged]) -> None:
    official = _share(sum(item.official.correct for item in judged), len(judged))
    verified = _share(sum(item.verify.correct for item in judged), len(judged))
    print(f"{name:42}{len(judged):>5}{official:>18}{verified:>18}")


def _share(right: int, total: int) -> str:
    return f"{right} ({100 * right / total:.2f} %)"


def print_rules(judged: Sequence[Judged]) -> None:
    table = Counter((item.official.correct, item.verify.correct) for item in judged)
    print(f"\n{'':18}{'verify right':>14}{'verify wrong':>14}")
    for official in (True, False):
        name = f"official {_word(official)}"
        print(f"{name:18}{table[official, True]:>14}{table[official, False]:>14}")
    rules = Counter((item.official.correct, *item.rules) for item in judged)
    print(f"\n{'n':>4}  {'official':28}verify")
    for (official, rule, verdict), count in sorted(rules.items(), key=lambda entry: (-entry[1], entry[0])):
        print(f"{count:4}  {f'{_word(official)}: {rule}':28}{verdict}")
    empty = [item.problem for item in judged if item.problem.choices and item.official.extracted is None]
    lucky = sum(min(problem.choices, key=len) == problem.answer for problem in empty)
    print(
        f"\n{len(empty)} choices without an extraction, counted as wrong; the shortest is right for {lucky}"
    )
    differing = [item for item in judged if item.official.correct != item.verify.correct]
    print(f"\n{len(differing)} responses on which they differ")
    for item in sorted(differing, key=lambda item: item.rules):
        print(_line(item))


def _line(item: Judged) -> str:
    official, verdict = item.rules
    return (
        f"  {item.problem.id}: truth {escape(item.problem.answer)!r}, extracted '"
        f"{escape(item.official.extracted or '', 50)}'; official {_word(item.official.correct)}: {official}; "
        f"verify {verdict}: {escape(item.verify.reason)}"
    )


def _word(correct: bool) -> str:
    return "right" if correct else "wrong"


if __name__ == "__main__":
    main()
