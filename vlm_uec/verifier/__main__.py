"""One verdict, explained: `python -m vlm_uec.verifier --answer A --response R [...]`."""

from __future__ import annotations

import argparse

from vlm_uec.verifier import verify
from vlm_uec.verifier.describe import describe


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m vlm_uec.verifier", description="One verdict, explained.")
    parser.add_argument("--answer", required=True, help="the truth, as the data set writes it")
    parser.add_argument("--response", required=True, help="the model's whole response")
    parser.add_argument("--choices", nargs="+", help="the choices that the prompt listed, in order")
    parser.add_argument("--precision", type=int, help="decimals that the truth was rounded to")
    args = parser.parse_args()
    verdict = verify(args.response, args.answer, choices=args.choices, precision=args.precision)
    print(f"verdict    {verdict.kind.replace('_', ' ')}")
    print(f"extracted  {'nothing' if verdict.extracted is None else repr(verdict.extracted)}")
    if verdict.extracted:
        print(f"read as    {describe(verdict.extracted)}")
    print(f"truth      {args.answer!r}")
    print(f"read as    {describe(args.answer)}")
    print(f"because    {verdict.reason} (rule {verdict.rule} of docs/verifier.md)")


if __name__ == "__main__":
    main()
