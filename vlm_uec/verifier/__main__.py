"""Explain one verdict: `python -m vlm_uec.verifier --answer A --response R [...]`."""

from __future__ import annotations

import argparse

from vlm_uec.verifier import verify
from vlm_uec.verifier.describe import describe


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m vlm_uec.verifier", description="Explain one verdict.")
    parser.add_argument("--answer", required=True, help="the ground truth as written in the data set")
    parser.add_argument("--response", required=True, help="the complete response of the model")
    parser.add_argument(
        "--choices", nargs="+", help="the choices in the order in which the prompt lists them"
    )
    parser.add_argument("--precision", type=int, help="number of decimals that the truth was rounded to")
    args = parser.parse_args()
    verdict = verify(args.response, args.answer, choices=args.choices, precision=args.precision)
    print(f"verdict    {verdict.kind.replace('_', ' ')}")
    print(f"extracted  {'nothing' if verdict.extracted is None else repr(verdict.extracted)}")
    if verdict.extracted:
        print(f"parsed as  {describe(verdict.extracted)}")
    print(f"truth      {args.answer!r}")
    print(f"parsed as  {describe(args.answer)}")
    print(f"reason     {verdict.reason} (rule {verdict.rule} of docs/verifier.md)")


if __name__ == "__main__":
    main()
