"""What the entropy study's runs say: means over seeds with 95 % intervals, and differences paired by seed."""

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
EDGE = 10  # steps whose mean is a run's first, or last, entropy
# Student's t, two-sided 95 %, by degrees of freedom (any table).
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
_T95_BEYOND = 2.228  # too wide for more: an interval must not be too narrow
PASSES = ("update", "replay")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds; the interval is infinite for one seed."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Outcome:
    """A run's numbers."""

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
    entropy_least: float  # of any EDGE steps in a row
    rescued: int
    retained: float  # share of the sampled responses
    predictions: dict[str, Prediction | None]  # of updates, and of replays
    course: tuple[Validated, ...]  # in order


@dataclass(frozen=True)
class Prediction:
    """How predicted changes of entropy went with those measured on the tokens that were trained on."""

    correlation: float  # Pearson's
    size: float  # standard deviation of the measured ones over that of the predicted ones


@dataclass(frozen=True)
class Validated:
    """A validation on the way."""

    step: int
    tokens: int  # sampled until then
    pass_1: float
    pass_k: float


def outcome_of(run: StudyRun) -> Outcome:
    rows = read_jsonl(run.folder / METRICS)
    last = rows[-1]
    entropy = [row["entropy/exact"] for row in rows]
    windows = [fmean(entropy[start : start + EDGE]) for start in range(max(1, len(entropy) - EDGE + 1))]
    return Outcome(
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
        predictions={what: prediction_of(rows, what) for what in PASSES},
        course=tuple(
            Validated(
                row["step"], int(row["response_tokens/total"]), row["eval/pass@1"], row[f"eval/pass@{K}"]
            )
            for row in rows
            if row.get("eval/pass@1") is not None
        ),
    )


def prediction_of(rows: Sequence[Row], what: str) -> Prediction | None:
    """Of a run's updates or replays (`what`), those of a trainer's step together; None below three of them.

    Apart, because the two differ in their means: together they would correlate by that alone.
    """
    pairs = [
        (row[f"{what}/entropy_predicted"], row[f"{what}/entropy_change"])
        for row in rows
        if row.get(f"{what}/entropy_change") is not None
    ]
    if len(pairs) < 3:
        return None
    predicted, measured = (list(values) for values in zip(*pairs, strict=True))
    return Prediction(correlation(predicted, measured), stdev(measured) / stdev(predicted))


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and Student's interval of values that are one a seed."""
    mean = fmean(values)
    if len(values) < 2:
        return Estimate(mean, -math.inf, math.inf)
    quantile = _T95[len(values) - 2] if len(values) - 2 < len(_T95) else _T95_BEYOND
    off = quantile * stdev(values) / math.sqrt(len(values))
    return Estimate(mean, mean - off, mean + off)


def of_arm(outcomes: Sequence[Outcome], arm: str, name: str) -> dict[int, float]:
    """A number by seed."""
    return {one.seed: getattr(one, name) for one in outcomes if one.arm == arm}


def paired(outcomes: Sequence[Outcome], arm: str, other: str, name: str) -> Estimate:
    """`arm` minus `other`, seed by seed."""
    mine, theirs = of_arm(outcomes, arm, name), of_arm(outcomes, other, name)
    return estimate([mine[seed] - theirs[seed] for seed in sorted(mine.keys() & theirs.keys())])


def at(outcome: Outcome, axis: str, place: float, name: str, start: float) -> float:
    """`name` at so many tokens, or steps (`axis`): on the line between the validations around, the first of
    which is the base model's, `start`. Raises ValueError beyond the last."""
    points = [(0.0, start), *((getattr(one, axis), getattr(one, name)) for one in outcome.course)]
    for (left, low), (right, high) in pairwise(points):
        if left <= place <= right:
            return low + (high - low) * (place - left) / (right - left)
    raise ValueError(f"{outcome.arm}, seed {outcome.seed}: no validation at or after {place} {axis}")


def paired_at(
    outcomes: Sequence[Outcome], arms: tuple[str, str], axis: str, place: float, base: Mapping[str, float]
) -> dict[str, Estimate]:
    """The first arm minus the second, seed by seed, at the same place along an axis."""
    told = {}
    for name, start in base.items():
        mine, theirs = (
            {one.seed: at(one, axis, place, name, start) for one in outcomes if one.arm == arm}
            for arm in arms
        )
        told[name] = estimate([mine[seed] - theirs[seed] for seed in sorted(mine.keys() & theirs.keys())])
    return told


def relative_gain(outcomes: Sequence[Outcome], arm: str, other: str, base: float) -> float:
    """How many times `other`'s gain in Pass@1 over the base model `arm`'s is."""
    gains = [fmean(of_arm(outcomes, name, "pass_1").values()) - base for name in (arm, other)]
    return gains[0] / gains[1]


def record(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [asdict(one) for one in outcomes]


def _retained(rows: Sequence[Row], config: Config) -> float:
    sampled = len(rows) * config.rollout.prompts * config.rollout.n
    kept = sum(row[f"uec/retained_{source}"] for row in rows for source in ("regular", "exploration"))
    return float(kept / (sampled + sum(row["uec/explored_responses"] for row in rows)))


def _optimizer_steps(row: Row) -> float:
    return sum(row.get(f"{what}/optimizer_steps", 0) for what in PASSES)
