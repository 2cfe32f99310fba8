"""The content of `summary.json`: estimates with intervals, without times or speeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import Any

from eval.breakdown import group_problems
from eval.estimators import maj_at_k, mean_at_n, pass_at_k
from eval.intervals import bootstrap_interval
from eval.samples import REWARD, Sample
from eval.scorers import PromptText
from eval.votes import count_votes
from vlm_uec.types import Problem

MAX_MAJORITY_SAMPLES = 256  # per problem; the exact majority of more takes seconds per problem

Samples = Mapping[str, Sequence[Sample]]  # by problem id, each with at least one


def by_problem(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        found[sample.problem_id].append(sample)
    return dict(found)


def summarise(
    problems: Mapping[str, Problem],
    samples: Sequence[Sample],
    ks: Sequence[int],
    seed: int,
    prompt_text: PromptText | None = None,
) -> dict[str, Any]:
    """The summary of samples, with the same number for every problem. `prompt_text`: see `count_votes`.

    `scores[scorer][metric]` has `value` and `interval` (95 %, bootstrap over problems); `breakdown` has
    values without intervals, by kind and group.
    """
    groups = by_problem(samples)
    estimates = {name: _estimates(name, problems, groups, ks, prompt_text) for name in samples[0].scores}
    return {
        "problems": len(groups),
        "samples": len(samples),
        "scores": {
            name: {**_with_intervals(metrics, groups, seed), **_unextracted(name, samples)}
            for name, metrics in estimates.items()
        },
        "intervals": "95 %, BCa bootstrap over problems; all values are fractions of 1",
        "responses": _responses(samples),
        "breakdown": {
            kind: {group: _group(estimates, groups, ids) for group, ids in members.items()}
            for kind, members in group_problems(problems[name] for name in groups).items()
        },
    }


def _estimates(
    scorer: str,
    problems: Mapping[str, Problem],
    groups: Samples,
    ks: Sequence[int],
    prompt_text: PromptText | None,
) -> dict[str, dict[str, float]]:
    """For each metric, one value per problem."""
    n = len(next(iter(groups.values())))
    right = {name: sum(sample.scores[scorer].correct for sample in group) for name, group in groups.items()}
    found = {f"pass@{k}": {name: pass_at_k(n, right[name], k) for name in groups} for k in ks}
    found[f"mean@{n}"] = {name: mean_at_n(n, right[name]) for name in groups}
    if n <= MAX_MAJORITY_SAMPLES and any(
        sample.scores[scorer].extracted for group in groups.values() for sample in group
    ):
        votes = {
            name: count_votes(group, problems[name], scorer, prompt_text) for name, group in groups.items()
        }
        found |= {f"maj@{k}": {name: maj_at_k(votes[name], k) for name in groups} for k in ks if k > 1}
    return found


def _with_intervals(
    metrics: Mapping[str, Mapping[str, float]], groups: Samples, seed: int
) -> dict[str, dict[str, Any]]:
    values = {metric: [found[name] for name in groups] for metric, found in metrics.items()}
    return {
        metric: {"value": mean(found), "interval": bootstrap_interval(found, seed)}
        for metric, found in values.items()
    }


def _group(
    estimates: Mapping[str, Mapping[str, Mapping[str, float]]], groups: Samples, ids: Sequence[str]
) -> dict[str, Any]:
    samples = [sample for name in ids for sample in groups[name]]
    return {
        "problems": len(ids),
        "scores": {
            scorer: {metric: mean(found[name] for name in ids) for metric, found in metrics.items()}
            for scorer, metrics in estimates.items()
        },
        **_unextracted(next(iter(estimates)), samples),
        **{
            name: value for name, value in _responses(samples).items() if name in ("truncated", "tokens_mean")
        },
    }


def _unextracted(scorer: str, samples: Sequence[Sample]) -> dict[str, float]:
    """The share of responses without an extracted answer; not for `reward`, which extracts nothing."""
    if scorer == REWARD:
        return {}
    return {"unextracted": mean(not sample.scores[scorer].extracted for sample in samples)}


def _responses(samples: Sequence[Sample]) -> dict[str, float]:
    """Truncation and lengths, each only if recorded for all samples."""
    statistics: dict[str, float] = {}
    truncated = [sample.truncated for sample in samples if sample.truncated is not None]
    if len(truncated) == len(samples):
        statistics["truncated"] = mean(truncated)
    tokens = [sample.tokens for sample in samples if sample.tokens is not None]
    if len(tokens) == len(samples):
        statistics |= {
            "tokens_mean": mean(tokens),
            "tokens_median": median(tokens),
            "tokens_max": max(tokens),
        }
    return statistics
