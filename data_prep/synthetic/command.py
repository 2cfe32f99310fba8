"""`python -m data_prep synthetic`: plane geometry with exact answers; the numbers are only in the picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from data_prep.synthetic.kinds import LEVELS
from data_prep.synthetic.problems import DEFAULT_PIXELS, SPLITS, SyntheticProblem, generate
from data_prep.writer import summary, write_dataset
from vlm_uec.types import Problem

__all__ = ["SyntheticProblem", "add_arguments", "generate", "run"]

_DEFAULT_COUNTS = {"train": 2000, "validation": 200, "test": 400}


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is not a number of problems")
    return value


def _pixels(text: str) -> int:
    value = int(text)
    if not 56 <= value <= 1120:
        raise argparse.ArgumentTypeError(f"{value} pixels: choose 56 to 1120")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="directory of the data set")
    parser.add_argument("--seed", type=int, default=1)
    for split in SPLITS:
        parser.add_argument(f"--{split}", type=_count, default=_DEFAULT_COUNTS[split], help="problems")
    parser.add_argument(
        "--levels",
        type=int,
        nargs="+",
        default=list(LEVELS),
        help="levels of difficulty, used in turn; 1 is the easiest",
    )
    parser.add_argument("--image-size", type=_pixels, default=DEFAULT_PIXELS, help="pixels a side")


def run(args: argparse.Namespace) -> str:
    """Writes the splits whose count is not 0 and returns a summary."""
    levels = sorted(set(args.levels))
    splits: dict[str, list[Problem]] = {
        split: [
            made.problem for made in generate(split, getattr(args, split), args.seed, levels, args.image_size)
        ]
        for split in SPLITS
        if getattr(args, split)
    }
    settings = {"seed": args.seed, "levels": levels, "image_size": args.image_size}
    return summary(write_dataset(args.out, splits, {"command": "synthetic", **settings}))
