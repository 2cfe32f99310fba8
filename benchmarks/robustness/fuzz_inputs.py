"""Fuzzes the config loader and the dataset reader: each broken input gives a result or one line.

    python benchmarks/robustness/fuzz_inputs.py [config|dataset|both] [--count 5000] [--seed 1]
    python benchmarks/robustness/fuzz_inputs.py dataset --seed 1 --only 1234

The only allowed outcomes are a result and a `UserError` of one line. Any other exception, more than 2 s of
CPU time, more than 512 MiB of memory and the death of the process are findings; the exit code is then 1. An
input is a function of (seed, number): --only repeats one, keeps its files and shows its traceback. Each kind
runs in a separate process (Linux), so that a crash inside a library is reported too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.robustness.fuzz_report import print_reports
from benchmarks.lib.robustness.fuzzing import INPUT_KINDS, InputKind, fuzz
from vlm_uec.errors import UserError


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", nargs="?", choices=[*INPUT_KINDS, "both"], default="both")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", type=int, metavar="NUMBER", help="repeat this input, keep its files, show the result"
    )
    arguments = parser.parse_args()
    kinds = [*INPUT_KINDS.values()] if arguments.kind == "both" else [INPUT_KINDS[arguments.kind]]
    if arguments.only is not None:
        repeat_input(kinds[0], arguments.seed, arguments.only)
        return
    reports = [fuzz(kind, arguments.count, arguments.seed) for kind in kinds]
    print_reports(reports)
    sys.exit(1 if any(report.findings for report in reports) else 0)


def repeat_input(kind: InputKind, seed: int, number: int) -> None:
    """Writes one input again and reads it in this process; its files stay."""
    directory = Path(tempfile.mkdtemp(prefix=f"{kind.name}_{seed}_{number}_"))
    load = kind.input(seed, number, directory)
    print(f"{kind.name} input {number} of seed {seed} is in {directory}")
    try:
        print(f"accepted: {load()}")
    except UserError as error:
        print(f"refused: {error}")


if __name__ == "__main__":
    main()
