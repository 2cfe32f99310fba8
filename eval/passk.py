"""python eval/passk.py --model DIR --data DIR --split test --n 16 --k 1 4 16 --out DIR: unbiased Pass@k.

Samples with the training rollout engine (a prompt is encoded once for all n responses) and scores with the
training verifier. `deepspeed eval/passk.py …` distributes the problems over the ranks.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script's path does not include the repository root

from eval.arguments import check_arguments, check_comparison, parse_arguments
from vlm_uec.cli import exit_code_of

# Timeout of collectives: the shares of a large evaluation end at very different times.
MAX_WAIT = timedelta(days=2)


def run(arguments: argparse.Namespace) -> None:
    if arguments.compare:
        check_comparison(arguments)
        from eval.compare import compare, comparison_table

        print(comparison_table(compare(arguments.compare, arguments.seed)))
        return
    check_arguments(arguments)
    # Imported here because it takes seconds; errors in the arguments are reported before.
    from eval.evaluation import Evaluation
    from vlm_uec.ranks.rendezvous import rendezvous
    from vlm_uec.zero.engine import start_distributed, stop_distributed

    if "MASTER_ADDR" in os.environ:  # under the launcher
        start_distributed(rendezvous(), MAX_WAIT)
    Evaluation(arguments).execute()
    stop_distributed()


def main() -> int:
    arguments = parse_arguments()
    try:
        return exit_code_of(lambda: run(arguments))
    except KeyboardInterrupt:
        print("interrupted; continue with --resume", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
