"""Explain one verdict: `python -m vlm_uec.verifier --answer A --response R [...]`."""

from __future__ import annotations

import argparse
import sys
from typing import get_args

from vlm_uec.cli import exit_code_of
from vlm_uec.verifier import Strictness, verify
from vlm_uec.verifier.describe import describe
from vlm_uec.verifier.strictness import DEFAULT, Statements, Thinking


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m vlm_uec.verifier", description="Explain one verdict.")
    parser.add_argument("--answer", required=True, help="the ground truth as written in the data set")
    parser.add_argument("--response", required=True, help="the complete response of the model")
    parser.add_argument(
        "--choices", nargs="+", help="the choices in the order in which the prompt lists them"
    )
    parser.add_argument("--precision", type=float, help="number of decimals that the truth was rounded to")
    parser.add_argument("--thinking", choices=get_args(Thinking), default=DEFAULT.thinking)
    parser.add_argument("--statements", choices=get_args(Statements), default=DEFAULT.statements)
    args = parser.parse_args()
    return exit_code_of(lambda: explain(args))


def explain(args: argparse.Namespace) -> None:
    verdict = verify(
        args.response,
        args.answer,
        choices=args.choices,
        precision=args.precision,
        strictness=Strictness(args.thinking, args.statements),
    )
    print(f"verdict    {verdict.kind.replace('_', ' ')}")
    print(f"extracted  {'nothing' if verdict.extracted is None else repr(verdict.extracted)}")
    if verdict.extracted:
        print(f"parsed as  {describe(verdict.extracted)}")
    print(f"truth      {args.answer!r}")
    print(f"parsed as  {describe(args.answer)}")
    print(f"reason     {verdict.reason} (rule {verdict.rule} of docs/verifier.md)")


if __name__ == "__main__":
    sys.exit(main())
