"""`python -m data_prep COMMAND ...`: write or inspect a dataset directory."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from vlm_uec.errors import UserError

COMMANDS = {
    "geometry3k": "Geometry3K from raw folders or jsonl files with pictures, parquet files or the Hub",
    "mathvista": "MathVista's testmini from its json and pictures, parquet files or the Hub",
    "math": "text-only problems with one answer each, from parquet files or the Hub",
    "synthetic": "seeded plane-geometry problems with rendered diagrams",
    "inspect": "statistics of a dataset, token budget, duplicates and leaks, a picture gallery",
}


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    args = build_parser(arguments).parse_args(arguments)
    try:
        summary = args.run(args)
    except UserError as error:
        print(f"data_prep {args.command}: {error}", file=sys.stderr)
        return 2
    print(summary)
    return 0


def build_parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data_prep", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if list(arguments[:1]) == [name]:  # only the requested command is imported
            module = importlib.import_module(f"data_prep.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
