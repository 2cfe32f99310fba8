"""Runs of the tiny recipe through DeepSpeed's launcher: their data, command, metrics and Pass@k."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import torch

from benchmarks.lib.launching import deepspeed_command


def launch_command() -> list[str]:
    """Two CPU ranks, or every GPU of the machine; the script and its arguments follow."""
    ranks = [] if torch.cuda.is_available() else ["--num_accelerators", "2"]
    return deepspeed_command("--log_level", "error", *ranks)


def make_data(out: Path) -> None:
    """Synthetic problems of levels 1 to 3."""
    sizes = ["--train", "2048", "--validation", "64", "--test", "128", "--levels", "1", "2", "3"]
    command = [sys.executable, "-m", "data_prep", "synthetic", "--out", str(out), "--seed", "1", *sizes]
    subprocess.run(command, check=True)


def evaluate(model: Path | str, data: Path, out: Path) -> None:
    """Pass@1, 4 and 8 of the test split by eval/passk.py, with the settings of examples/demo.sh."""
    shutil.rmtree(out, ignore_errors=True)
    counts = "--split test --n 8 --k 1 4 8"
    limits = "--max-tokens 96 --max-pixels 7056"
    command = [sys.executable, "eval/passk.py", "--model", str(model), "--data", str(data), "--out", str(out)]
    subprocess.run([*command, *counts.split(), *limits.split()], check=True)


def mean_of_fifths(rows: Sequence[Mapping[str, float]], name: str) -> tuple[float, float]:
    """Means of a metric over the first and over the last fifth of the steps."""
    size = max(1, len(rows) // 5)
    return fmean(row[name] for row in rows[:size]), fmean(row[name] for row in rows[-size:])
