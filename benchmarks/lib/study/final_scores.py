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
    runs: Sequence[StudyRun], inputs: Inputs, out: Path, at_a_time: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """The base model's kinds and entropy, and means over seeds of `ARMS`."""
    wanted = [run for run in runs if run.arm in ARMS]
    jobs = {
        run: _job(out, f"{run.folder.name}_{inputs.tokens}", replace(inputs, model=run.folder / "export"))
        for run in wanted
    }
    base = _job(out, "base", inputs)
    run_all([base, *jobs.values()], at_a_time, say)
    told = {"base": _read(base)}
    for arm in dict.fromkeys(run.arm for run in wanted):
        told[arm] = _mean([_read(job) for run, job in jobs.items() if run.arm == arm])
    return told


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
    told: dict[str, Any] = json.loads(job.done.with_suffix(".json").read_text(encoding="utf-8"))
    return told


def _mean(trees: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Leaf by leaf."""
    first = trees[0]
    return {
        name: _mean([tree[name] for tree in trees])
        if isinstance(first[name], Mapping)
        else fmean(tree[name] for tree in trees)
        for name in first
    }
