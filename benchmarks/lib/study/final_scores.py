"""Final scores of the entropy study's policies: jobs that sample, and means over seeds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.lib.study.arms import Inputs, StudyRun
from benchmarks.lib.study.job_pool import Job, run_all

SEED = 1
ARMS = ("GRPO", "UEC", "UEC, no retention")


def final_scores(
    runs: Sequence[StudyRun], inputs: Inputs, out: Path, parallel: int, report: Callable[[str], None]
) -> dict[str, Any]:
    """Scores by kind and entropy by token: the base model's, and means over seeds for each of `ARMS`."""
    selected = [run for run in runs if run.arm in ARMS]
    jobs = {
        run: _job(out, f"{run.folder.name}_{inputs.tokens}", replace(inputs, model=run.folder / "export"))
        for run in selected
    }
    base = _job(out, "base", inputs)
    run_all([base, *jobs.values()], parallel, report)
    scores = {"base": _read(base)}
    for arm in dict.fromkeys(run.arm for run in selected):
        scores[arm] = _mean_tree([_read(job) for run, job in jobs.items() if run.arm == arm])
    return scores


def _job(out: Path, name: str, inputs: Inputs) -> Job:
    settings = inputs.overrides(out / "unused", SEED)
    return Job(
        name=f"kinds of problems, {name}",
        done=out / f"{name}.done",
        log=out / f"{name}.log",
        script="benchmarks/study/finals.py",
        arguments=(str(out / f"{name}.json"), *settings),
    )


def _read(job: Job) -> dict[str, Any]:
    scores: dict[str, Any] = json.loads(job.done.with_suffix(".json").read_text(encoding="utf-8"))
    return scores


def _mean_tree(trees: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of each leaf."""
    first = trees[0]
    return {
        name: _mean_tree([tree[name] for tree in trees])
        if isinstance(first[name], Mapping)
        else fmean(tree[name] for tree in trees)
        for name in first
    }
