"""Results of the entropy study's runs: means over seeds with 95 % intervals, differences paired by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import correlation, fmean, stdev
from typing import Any

from benchmarks.lib.study.arms import StudyRun
from vlm_uec.checkpoint.resume_rules import CONFIG
from vlm_uec.config import Config, load_config
from vlm_uec.telemetry.writers import METRICS, read_jsonl

K = 16
EDGE_STEPS = 10  # a run's first and last entropy are means over so many steps
# Quantiles of Student's t distribution, two-sided 95 %, by degrees of freedom from 1.
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
_T95_BEYOND = 2.228  # for more degrees of freedom: slightly too wide, never too narrow
UPDATE_KINDS = ("update", "replay")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval, which is infinite for one seed."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class RunResult:
    """Results of one run."""

    arm: str
    seed: int
    steps: int
    tokens: int  # sampled
    optimizer_steps: int
    minutes: float
    pass_1: float  # on held-out problems, after the last step
    pass_k: float
    entropy_first: float
    entropy_last: float
    entropy_least: float  # smallest mean of EDGE_STEPS consecutive steps
    rescued: int
    retained: float  # as a share of the sampled responses
    predictions: dict[str, EntropyPrediction | None]  # by kind of update
    course: tuple[ValidationScores, ...]  # in order of steps


@dataclass(frozen=True)
class EntropyPrediction:
    """Agreement of predicted entropy changes with those measured on the trained tokens."""

    correlation: float  # Pearson's
    size: float  # standard deviation of measured changes / that of predicted changes


@dataclass(frozen=True)
class ValidationScores:
    """Scores of one validation during a run."""

    step: int
    tokens: int  # sampled until then
    pass_1: float
    pass_k: float


def read_result(run: StudyRun) -> RunResult:
    rows = read_jsonl(run.folder / METRICS)
    last = rows[-1]
    entropy = [row["entropy/exact"] for row in rows]
    windows = [
        fmean(entropy[start : start + EDGE_STEPS]) for start in range(max(1, len(entropy) - EDGE_STEPS + 1))
    ]
    return RunResult(
        arm=run.arm,
        seed=run.seed,
        steps=len(rows),
        tokens=int(last["response_tokens/total"]),
        optimizer_steps=int(sum(map(_optimizer_steps, rows))),
        minutes=sum(row["time/step"] for row in rows) / 60,
        pass_1=last["eval/pass@1"],
        pass_k=last[f"eval/pass@{K}"],
        entropy_first=windows[0],
        entropy_last=windows[-1],
        entropy_least=min(windows),
        rescued=int(sum(row["uec/rescued_prompts"] for row in rows)),
        retained=_retained(rows, load_config(run.folder / CONFIG)),
        predictions={kind: entropy_prediction(rows, kind) for kind in UPDATE_KINDS},
        course=tuple(
            ValidationScores(
                row["step"], int(row["response_tokens/total"]), row["eval/pass@1"], row[f"eval/pass@{K}"]
            )
            for row in rows
            if row.get("eval/pass@1") is not None
        ),
    )


def entropy_prediction(rows: Sequence[Row], kind: str) -> EntropyPrediction | None:
    """Agreement over the steps of a run that have updates of this kind; None for fewer than three steps.

    Updates and replays are separate because their means differ, which alone would correlate them.
    """
    pairs = [
        (row[f"{kind}/entropy_predicted"], row[f"{kind}/entropy_change"])
        for row in rows
        if row.get(f"{kind}/entropy_change") is not None
    ]
    if len(pairs) < 3:
        return None
    predicted, measured = (list(values) for values in zip(*pairs, strict=True))
    return EntropyPrediction(correlation(predicted, measured), stdev(measured) / stdev(predicted))


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and Student's interval of the values, one per seed."""
    mean = fmean(values)
    if len(values) < 2:
        return Estimate(mean, -math.inf, math.inf)
    quantile = _T95[len(values) - 2] if len(values) - 2 < len(_T95) else _T95_BEYOND
    margin = quantile * stdev(values) / math.sqrt(len(values))
    return Estimate(mean, mean - margin, mean + margin)


def values_by_seed(results: Sequence[RunResult], arm: str, name: str) -> dict[int, float]:
    """A field of an arm's results by seed."""
    return {result.seed: getattr(result, name) for result in results if result.arm == arm}


def paired_difference(results: Sequence[RunResult], arm: str, other: str, name: str) -> Estimate:
    """`arm` minus `other`, paired by seed."""
    return _paired(values_by_seed(results, arm, name), values_by_seed(results, other, name))


def _paired(values: Mapping[int, float], others: Mapping[int, float]) -> Estimate:
    return estimate([values[seed] - others[seed] for seed in sorted(values.keys() & others.keys())])


def value_at(result: RunResult, axis: str, position: float, name: str, start: float) -> float:
    """`name` at a position along `axis` ("tokens" or "step"), interpolated linearly between validations.

    `start` is the base model's value, at 0. Raises ValueError beyond the last validation.
    """
    points = [(0.0, start), *((getattr(one, axis), getattr(one, name)) for one in result.course)]
    for (left, low), (right, high) in pairwise(points):
        if left <= position <= right:
            return low + (high - low) * (position - left) / (right - left)
    raise ValueError(f"{result.arm}, seed {result.seed}: no validation at or after {position} {axis}")


def paired_differences_at(
    results: Sequence[RunResult],
    arms: tuple[str, str],
    axis: str,
    position: float,
    base: Mapping[str, float],
) -> dict[str, Estimate]:
    """The first arm minus the second, paired by seed, at the same position along an axis."""
    differences = {}
    for name, start in base.items():
        values, others = (
            {one.seed: value_at(one, axis, position, name, start) for one in results if one.arm == arm}
            for arm in arms
        )
        differences[name] = _paired(values, others)
    return differences


def gain_ratio(results: Sequence[RunResult], arm: str, other: str, base: float) -> float:
    """Gain of `arm` / gain of `other`, in mean Pass@1 over the base model."""
    gains = [fmean(values_by_seed(results, name, "pass_1").values()) - base for name in (arm, other)]
    return gains[0] / gains[1]


def as_records(results: Sequence[RunResult]) -> list[dict[str, Any]]:
    return [asdict(result) for result in results]


def _retained(rows: Sequence[Row], config: Config) -> float:
    sampled = len(rows) * config.rollout.prompts * config.rollout.n
    kept = sum(row[f"uec/retained_{source}"] for row in rows for source in ("regular", "exploration"))
    return float(kept / (sampled + sum(row["uec/explored_responses"] for row in rows)))


def _optimizer_steps(row: Row) -> float:
    return sum(row.get(f"{kind}/optimizer_steps", 0) for kind in UPDATE_KINDS)
