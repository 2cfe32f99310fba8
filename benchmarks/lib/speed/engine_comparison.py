"""Comparison of the rollout engines: the command line, a run's results, and the gap between the engines."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, variance

ENGINES = ("native", "vllm")


@dataclass(frozen=True)
class EngineRun:
    """Results of one run: means over the first and the last fifth of its steps."""

    engine: str
    seed: int
    steps: int
    first_fifth: float
    last_fifth: float
    entropy_last: float
    mismatch_mean: float  # over all steps; 0 for the native engine
    mismatch_max: float
    seconds_a_step: float


def accuracy_gap(runs: Sequence[EngineRun]) -> tuple[float, float]:
    """vLLM's mean last-fifth accuracy minus the native engine's, and its standard error (Welch's)."""
    last = {name: [run.last_fifth for run in runs if run.engine == name] for name in ENGINES}
    gap = fmean(last["vllm"]) - fmean(last["native"])
    return gap, math.sqrt(sum(variance(values) / len(values) for values in last.values()))


def parse_arguments(description: str | None, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--python", type=Path, default=Path(".venv-vllm/bin/python"), help="an interpreter that has vLLM"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--out", type=Path, default=Path("runs/vllm-engines"))
    parser.add_argument("overrides", nargs="*", metavar="dotted.key=value", help="passed to train.py")
    parsed = parser.parse_intermixed_args(arguments)
    if len(set(parsed.seeds)) < 2:
        parser.error("--seeds needs two seeds or more: the gap is compared with the spread over seeds")
    parsed.python = parsed.python.absolute()
    return parsed
