"""`python -m data_prep inspect DIR`: statistics of a dataset, to check it before training.

Prints counts, answer forms, picture sizes, prompt lengths, duplicates within a split and leaks between
splits, and writes them with a picture gallery to one HTML page.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from vlm_uec.config import DataConfig
from vlm_uec.errors import UserError

DEFAULT_PICTURES = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The defaults of pixel budget and prompt limit are those of a training config."""
    parser.add_argument(
        "directory",
        type=Path,
        metavar="DIR",
        help="a data_prep directory, or another directory of parquet files",
    )
    parser.add_argument(
        "--model", type=Path, metavar="DIR", help="count prompt tokens with this model's tokenizer"
    )
    parser.add_argument(
        "--template", metavar="TEXT", help="prompt.template of the config: text or .jinja file"
    )
    for name in ("min_pixels", "max_pixels", "max_prompt_tokens"):
        field = DataConfig.model_fields[name]
        described = f"{field.description} Default: {field.default}"
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=int, default=field.default, metavar="N", help=described)
    parser.add_argument(
        "--pictures",
        type=int,
        default=DEFAULT_PICTURES,
        metavar="N",
        help=f"problems per split in the gallery, evenly spaced (default: {DEFAULT_PICTURES})",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="the page (default: DIR/inspect.html)")


def run(args: argparse.Namespace) -> str:
    """Writes the page and returns the statistics as text.

    Raises `UserError` if options contradict each other or a file cannot be read or written.
    """
    _check(args)
    # Imported here, because transformers takes seconds to import and --help does not need it.
    from data_prep.inspect.report import inspect_dataset

    return inspect_dataset(
        args.directory,
        args.out or args.directory / "inspect.html",
        model=args.model,
        template=args.template,
        min_pixels=args.min_pixels,
        max_pixels=args.max_pixels,
        max_prompt_tokens=args.max_prompt_tokens,
        pictures=args.pictures,
    )


def _check(args: argparse.Namespace) -> None:
    if args.pictures < 0:
        raise UserError(
            f"--pictures {args.pictures}: give 0 for no gallery, or a number of problems per split"
        )
    for name in ("min_pixels", "max_pixels", "max_prompt_tokens"):
        if getattr(args, name) <= 0:
            raise UserError(f"--{name.replace('_', '-')} {getattr(args, name)}: give a number above 0")
    if args.min_pixels > args.max_pixels:
        raise UserError(f"--min-pixels {args.min_pixels} is above --max-pixels {args.max_pixels}; swap them")
    if args.template is not None and args.model is None:
        raise UserError("--template has no effect without --model; give the model with --model")
