"""The entropy study's probes as jobs, one per seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.lib.study.arms import Inputs
from benchmarks.lib.study.job_pool import Job, run_all


def probe_all(
    out: Path, inputs: Inputs, seeds: Sequence[int], parallel: int, report: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Runs the probes of every seed; returns the fields of each `Probe` and its seed."""
    jobs = [
        Job(
            name=f"probes, seed {seed}",
            done=out / f"seed_{seed}.done",
            log=out / f"seed_{seed}.log",
            script="benchmarks/study/probe.py",
            arguments=(str(out / f"seed_{seed}.json"), *inputs.overrides(out / f"seed_{seed}", seed)),
        )
        for seed in seeds
    ]
    run_all(jobs, parallel, report)
    return [
        {"seed": seed, **probe}
        for seed in seeds
        for probe in json.loads((out / f"seed_{seed}.json").read_text(encoding="utf-8"))
    ]
