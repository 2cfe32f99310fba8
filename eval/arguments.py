"""The command line of eval/passk.py, and checks that run before anything is loaded."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from eval.store import SampleStore
from vlm_uec.errors import UserError
from vlm_uec.io.disk_space import check_writable
from vlm_uec.verifier.strictness import DEFAULT, Statements, Thinking

MAX_SAMPLES = 10_000  # per problem
MAX_TOKENS = 1 << 17  # of a prompt or a response
MAX_PIXELS = 1 << 26
MAX_SLOTS = 1 << 14
DEFAULT_KS = (1, 4, 16, 64, 256)
K_HELP = "default: 1, 4, 16, 64 and 256, as far as below --n, and --n itself"


@dataclass(frozen=True)
class Settings:
    """The settings that determine the samples, besides model and data; they must not change on resume."""

    split: str
    problems: int | None  # the first N problems; None: all
    n: int
    temperature: float
    top_p: float
    max_tokens: int
    max_prompt_tokens: int
    min_pixels: int | None
    max_pixels: int | None
    template: str | None
    precision: str | None
    slots: int | None
    seed: int
    reward: str | None
    mathruler: bool
    thinking: Thinking
    statements: Statements


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Computes Pass@k of a model on a data set, or compares evaluations."
    )
    parser.add_argument(
        "--compare",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="two or more output directories, the baseline first",
    )
    parser.add_argument("--model", help="Hugging Face directory or Hub id")
    parser.add_argument("--data", help="directory written by data_prep, or Hub id")
    parser.add_argument("--split", default="test", help="default: %(default)s")
    parser.add_argument("--problems", type=int, help="only the first N problems; default: all")
    # The `deepspeed` launcher parses --n as an abbreviation of its own options; with it, use --samples.
    parser.add_argument(
        "--n", "--samples", dest="n", type=int, default=16, help="samples per problem; default: %(default)s"
    )
    parser.add_argument("--k", type=int, nargs="+", help=K_HELP)
    parser.add_argument("--out", type=Path, help="directory for samples, summary, plots and page")
    parser.add_argument("--resume", action="store_true", help="continue the evaluation in --out")
    _add_sampling_arguments(parser)
    add_scorer_arguments(parser)
    parser.add_argument("--local_rank", type=int, help="set by the launcher")
    return parser.parse_args(arguments)


def add_scorer_arguments(parser: argparse.ArgumentParser) -> None:
    """The strictness of `verify` and the scorers besides it, for both commands."""
    parser.add_argument(
        "--thinking",
        choices=get_args(Thinking),
        default=DEFAULT.thinking,
        help="accept: a box inside the thinking counts if no answer follows it; default: %(default)s",
    )
    parser.add_argument(
        "--statements",
        choices=get_args(Statements),
        default=DEFAULT.statements,
        help="boxed_only: only a box holds an answer, no tag or sentence; default: %(default)s",
    )
    parser.add_argument(
        "--mathruler",
        action="store_true",
        help="also score as EasyR1 and the UEC reference do: by the last box",
    )
    parser.add_argument(
        "--reward", help="your own scorer, path/to/file.py:function; a response is correct if it returns 1"
    )


def _add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="default: %(default)s; 0 is greedy and needs --n 1"
    )
    parser.add_argument("--top-p", type=float, default=1.0, help="default: %(default)s, all tokens")
    parser.add_argument("--max-tokens", type=int, default=2048, help="per response; default: %(default)s")
    parser.add_argument(
        "--max-prompt-tokens",
        type=int,
        default=4096,
        help="default: %(default)s; longer prompts are left out",
    )
    parser.add_argument("--min-pixels", type=int, help="per picture; default: the model's")
    parser.add_argument("--max-pixels", type=int, help="per picture; default: the model's")
    parser.add_argument(
        "--template", help="format prompt, jinja text or a .jinja file; default: the recipes'"
    )
    parser.add_argument("--precision", choices=["fp32", "bf16"], help="default: bf16 on a GPU, fp32 on a CPU")
    parser.add_argument(
        "--slots", type=int, help="responses decoded concurrently per rank; default: by memory"
    )
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raises `UserError` on invalid arguments before any model is loaded; sets the default of `--k`."""
    if missing := [name for name in ("model", "data", "out") if getattr(arguments, name) is None]:
        raise UserError(f"--{missing[0]} is missing: give --model, --data and --out, or --compare RUN RUN")
    _check_ranges(arguments)
    if arguments.temperature == 0 and arguments.n > 1:
        raise UserError(
            f"--temperature 0 is greedy: all {arguments.n} samples would be equal; give --n 1 --k 1"
        )
    arguments.k = resolve_ks(arguments.k, arguments.n)
    if os.environ.get("RANK", "0") == "0":  # concurrent checks would delete each other's directory
        check_writable(arguments.out, "--out")
    if SampleStore(arguments.out).exists and not arguments.resume:
        raise UserError(
            f"--out {arguments.out}: contains an evaluation; continue with --resume, or choose another"
        )


def resolve_ks(ks: Sequence[int] | None, n: int) -> list[int]:
    """Sorted values of k; default: `DEFAULT_KS` below n, and n. Raises `UserError` unless 1 <= k <= n."""
    if wrong := [k for k in ks or () if not 1 <= k <= n]:
        raise UserError(f"--k {wrong[0]}: must be from 1 to the {n} samples of a problem")
    return sorted(set(ks or [*(k for k in DEFAULT_KS if k < n), n]))


def check_comparison(arguments: argparse.Namespace) -> None:
    """Raises `UserError` on options that cannot be combined with `--compare`."""
    for name in ("model", "data", "out", "k"):
        if getattr(arguments, name) is not None:
            raise UserError(f"--compare cannot be combined with --{name}: each run has its own")
    check_seed(arguments.seed)


def check_seed(seed: int) -> None:
    if not 0 <= seed < 1 << 63:
        raise UserError(f"--seed {seed}: give a whole number, at least 0")


def settings_of(arguments: argparse.Namespace) -> Settings:
    return Settings(**{name: getattr(arguments, name) for name in Settings.__dataclass_fields__})


def _check_ranges(arguments: argparse.Namespace) -> None:
    for name, maximum in (
        ("n", MAX_SAMPLES),
        ("max_tokens", MAX_TOKENS),
        ("max_prompt_tokens", MAX_TOKENS),
        ("problems", None),
        ("min_pixels", MAX_PIXELS),
        ("max_pixels", MAX_PIXELS),
        ("slots", MAX_SLOTS),
    ):
        value = getattr(arguments, name)
        if value is not None and not 1 <= value <= (maximum or value):
            expected = f"from 1 to {maximum}" if maximum else "at least 1"
            raise UserError(f"--{name.replace('_', '-')} {value}: give a whole number, {expected}")
    low, high = arguments.min_pixels, arguments.max_pixels
    if low is not None and high is not None and low > high:
        raise UserError(f"--min-pixels {low} is above --max-pixels {high}")
    if arguments.temperature != 0 and not 0.01 <= arguments.temperature <= 100:
        raise UserError(
            f"--temperature {arguments.temperature:g}: give 0 (greedy), or a number from 0.01 to 100"
        )
    if not 0 < arguments.top_p <= 1:
        raise UserError(f"--top-p {arguments.top_p:g}: give a number above 0, at most 1")
    check_seed(arguments.seed)
