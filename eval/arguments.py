"""The command line of eval/passk.py, and what is refused before anything loads."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.store import SampleStore
from vlm_uec.errors import UserError
from vlm_uec.io.disk_space import check_writable

MAX_SAMPLES = 10_000  # a problem
MAX_TOKENS = 1 << 17  # of a prompt or a response
MAX_PIXELS = 1 << 26
MAX_SLOTS = 1 << 14
USUAL_K = (1, 4, 16, 64, 256)
K_HELP = "1, 4, 16, 64 and 256 below --n, and --n itself, if not given"


@dataclass(frozen=True)
class Settings:
    """What decides the samples, beside model and data: an evaluation is continued only under the same."""

    split: str
    problems: int | None  # the first so many; None is all
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


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Pass@k of a model on a data set, or runs compared.")
    parser.add_argument("--compare", type=Path, nargs="+", metavar="RUN", help="of two runs or more")
    parser.add_argument("--model", help="Hugging Face directory or Hub id")
    parser.add_argument("--data", help="directory written by data_prep, or Hub id")
    parser.add_argument("--split", default="test", help="%(default)s if not given")
    parser.add_argument("--problems", type=int, help="the first so many; all if not given")
    # The launcher's own parser takes a lone --n for one of its options: behind `deepspeed`, --samples.
    parser.add_argument(
        "--n", "--samples", dest="n", type=int, default=16, help="samples a problem: %(default)s"
    )
    parser.add_argument("--k", type=int, nargs="+", help=K_HELP)
    parser.add_argument("--out", type=Path, help="directory for samples, summary, plots and page")
    parser.add_argument("--resume", action="store_true", help="go on where a run in --out stopped")
    parser.add_argument("--temperature", type=float, default=1.0, help="%(default)s; 0 is greedy, with --n 1")
    parser.add_argument("--top-p", type=float, default=1.0, help="%(default)s: all tokens")
    parser.add_argument("--max-tokens", type=int, default=2048, help="of a response: %(default)s")
    parser.add_argument(
        "--max-prompt-tokens", type=int, default=4096, help="%(default)s; longer ones are left out"
    )
    parser.add_argument("--min-pixels", type=int, help="of a picture; the model's own by default")
    parser.add_argument("--max-pixels", type=int, help="of a picture; the model's own by default")
    parser.add_argument("--template", help="format prompt, jinja text or a .jinja file; that of the recipes")
    parser.add_argument("--precision", choices=["fp32", "bf16"], help="bf16 on a GPU, fp32 on a CPU")
    parser.add_argument("--slots", type=int, help="responses decoded at a time, a rank; as memory allows")
    parser.add_argument("--reward", help="a third scorer: path/to/file.py:function, right where it gives 1")
    parser.add_argument("--seed", type=int, default=1, help="%(default)s")
    parser.add_argument("--local_rank", type=int, help="set by the launcher")
    return parser.parse_args(arguments)


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raises `UserError` on what no run could honour, before any model loads; fills `--k` in."""
    if missing := [name for name in ("model", "data", "out") if getattr(arguments, name) is None]:
        raise UserError(f"--{missing[0]} is missing: give --model, --data and --out, or --compare RUN RUN")
    _check_ranges(arguments)
    if arguments.temperature == 0 and arguments.n > 1:
        raise UserError(
            f"--temperature 0 is greedy: all {arguments.n} samples would be equal; give --n 1 --k 1"
        )
    arguments.k = checked_ks(arguments.k, arguments.n)
    if os.environ.get("RANK", "0") == "0":  # ranks that probe at a time take each other's folder away
        check_writable(arguments.out, "--out")
    if SampleStore(arguments.out).taken and not arguments.resume:
        raise UserError(f"--out {arguments.out}: holds an evaluation; --resume goes on, or choose another")


def checked_ks(ks: Sequence[int] | None, n: int) -> list[int]:
    """In order; without any, the usual ones and n. Raises `UserError` on one that n samples do not allow."""
    if wrong := [k for k in ks or () if not 1 <= k <= n]:
        raise UserError(f"--k {wrong[0]}: must be from 1 to the {n} samples of a problem")
    return sorted(set(ks or [*(k for k in USUAL_K if k < n), n]))


def check_comparison(arguments: argparse.Namespace) -> None:
    """Raises `UserError` on options that a comparison would not heed."""
    for name in ("model", "data", "out", "k"):
        if getattr(arguments, name) is not None:
            raise UserError(f"--compare stands alone, without --{name}: each run has its own")
    check_seed(arguments.seed)


def check_seed(seed: int) -> None:
    if not 0 <= seed < 1 << 63:
        raise UserError(f"--seed {seed}: give a whole number, at least 0")


def settings_of(arguments: argparse.Namespace) -> Settings:
    return Settings(**{name: getattr(arguments, name) for name in Settings.__dataclass_fields__})


def _check_ranges(arguments: argparse.Namespace) -> None:
    for name, most in (
        ("n", MAX_SAMPLES),
        ("max_tokens", MAX_TOKENS),
        ("max_prompt_tokens", MAX_TOKENS),
        ("problems", None),
        ("min_pixels", MAX_PIXELS),
        ("max_pixels", MAX_PIXELS),
        ("slots", MAX_SLOTS),
    ):
        value = getattr(arguments, name)
        if value is not None and not 1 <= value <= (most or value):
            told = f"from 1 to {most}" if most else "at least 1"
            raise UserError(f"--{name.replace('_', '-')} {value}: give a whole number, {told}")
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
