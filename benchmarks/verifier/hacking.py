"""How many wrong responses earn the reward by a trick? Every trick known from the field, alone and in pairs.

    python benchmarks/verifier/hacking.py [--questions 14] [--data DATA] [--all]

Each response is wrong for a reader, although it mentions the truth. With `--data`, the questions and the
reasoning are also those of recorded wrong responses of Qwen2.5-VL-7B to Geometry3K. The control is the truth
in a box after the same reasoning, which must earn. Exits with 1 if a wrong response earns, or a control
does not.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.verifier.hacking.mutations import Mutation, mutations, right_response
from benchmarks.lib.verifier.hacking.questions import generated_questions, recorded_questions

RECORDED = 7  # recorded questions that are mutated
SHOWN = 3  # earning responses of a trick, unless --all


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=14, help="generated questions")
    parser.add_argument("--data", type=Path, help="directory with geometry3k/model_outputs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="print every response that earns")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    questions = generated_questions(rng, arguments.questions)
    if arguments.data:
        questions += recorded_questions(arguments.data)[:RECORDED]
    tried: Counter[str] = Counter()
    earning: dict[str, list[Mutation]] = {}
    for question in questions:
        for mutation in mutations(rng, question):
            tried[mutation.kind] += 1
            if question.earns(mutation.response):
                earning.setdefault(mutation.kind, []).append(mutation)
    print_table(tried, earning, None if arguments.all else SHOWN)
    controls = sum(question.earns(right_response(question)) for question in questions)
    print(f"controls: {controls} of {len(questions)} right answers earn")
    return 0 if not earning and controls == len(questions) else 1


def print_table(tried: Counter[str], earning: dict[str, list[Mutation]], shown: int | None) -> None:
    for kind, count in sorted(tried.items()):
        earned = earning.get(kind, [])
        print(f"{kind:<28} {count:>7} wrong responses, {len(earned):>4} earn")
        for mutation in earned[:shown]:
            tricks, end = " + ".join(mutation.tricks), mutation.response[-160:]
            print(f"    truth {mutation.question.truth!r}, {tricks}: {end!r}")
    total = sum(map(len, earning.values()))
    print(f"{'all':<28} {tried.total():>7} wrong responses, {total:>4} earn")


if __name__ == "__main__":
    sys.exit(main())
