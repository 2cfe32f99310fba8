"""Runs the entropy study's probes, one job per seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.lib.study.arms import Inputs
from benchmarks.lib.study.job_pool import Job, run_all


def probe_all(
    out: Path, inputs: Inputs, seeds: Sequence[int], at_a_time: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Every seed's probes, as `Probe`'s fields and the seed."""
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
    run_all(jobs, at_a_time, say)
    return [
        {"seed": seed, **probe}
        for seed in seeds
        for probe in json.loads((out / f"seed_{seed}.json").read_text(encoding="utf-8"))
    ]
