"""Run directories with made-up metrics and samples, written without training."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from data_prep.writer import write_dataset
from tests.support.fakes import make_config
from tests.support.tiny import encoded
from vlm_uec.config import dump_config
from vlm_uec.io.strict_json import to_json
from vlm_uec.telemetry.writers import RunWriter
from vlm_uec.types import Problem

PHASES = ("rollout", "exploration", "reward", "update", "replay", "other")


def metrics_of(step: int, seed: int = 0) -> dict[str, float]:
    """Metrics of one step of a UEC-RL run: a slow trend with noise."""
    noise = random.Random(f"{seed} {step}").gauss
    trend = math.tanh(step / 200)
    values = {
        "reward/accuracy": min(1.0, max(0.0, 0.3 + 0.4 * trend + noise(0, 0.05))),
        "reward/format": 0.9 + 0.1 * trend,
        "entropy/exact": 0.5 - 0.3 * trend + abs(noise(0, 0.02)),
        "entropy/estimate": 0.5 - 0.3 * trend + abs(noise(0, 0.04)),
        "uec/difficult_prompts": round(20 - 10 * trend + noise(0, 2)),
        "uec/rescued_prompts": round(5 + noise(0, 1)),
        "uec/explored_responses": 100 + noise(0, 9),
        "response_tokens/mean": 300 + 100 * trend + noise(0, 9),
        "response_tokens/max": 800 + noise(0, 20),
        "response_tokens/total": 40_000 * step,
        "truncated_fraction": abs(noise(0, 0.01)),
        "tokens_per_second": 9000 + noise(0, 400),
        "grad_norm": 0.5 + abs(noise(0, 0.1)),
        "loss/policy": noise(0, 0.01),
        "lr": 1e-6,
        **{f"time/{phase}": 1 + place + abs(noise(0, 0.2)) for place, phase in enumerate(PHASES)},
        **{f"covariance/{source}": noise(0, 0.1) for source in ("regular", "exploration", "replay")},
        **{
            f"verdict/{kind}": 0.25 + noise(0, 0.01) for kind in ("right", "wrong", "unparsable", "no_answer")
        },
        "update/entropy_predicted": (change := noise(0, 1e-3)) / 1000,
        "update/entropy_change": change + noise(0, 3e-4),
    }
    if step % 50 == 0:
        values |= {"eval/pass@1": 0.3 + 0.2 * trend, "eval/pass@16": 0.6 + 0.2 * trend}
    return {**values, "time/step": sum(values[f"time/{phase}"] for phase in PHASES)}


def sample(problem_id: str, source: str = "regular", /, **fields: Any) -> dict[str, Any]:
    row = {
        "problem_id": problem_id,
        "source": source,
        "index": 0,
        "response": "so \\boxed{5}",
        "reward": 1.0,
        "reward/accuracy": 1.0,
        "reason": "equal to the truth",
        "advantage": 1.25,
        "truncated": False,
        "sampled_at": 1,
    }
    return {**row, **fields}


def write_run(
    run_dir: Path,
    steps: Sequence[int] = range(1, 6),
    samples: Mapping[int, Sequence[Mapping[str, Any]]] | None = None,
    *overrides: str,
    seed: int = 0,
) -> Path:
    """Writes metrics of the steps, samples by step, and the tiny recipe with overrides as config.

    Without an override of `data.path` the data set does not exist.
    """
    with RunWriter(run_dir, None) as writer:
        for step in steps:
            writer.metrics(step, metrics_of(step, seed))
        for step, rows in (samples or {}).items():
            writer.samples(step, rows)
    own = (f"train.run_dir={run_dir}", f"train.seed={seed}", f"data.path={run_dir}/gone")
    config = make_config(*own, *overrides)
    (run_dir / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    return run_dir


def write_problems(directory: Path, names: Sequence[str], picture: bytes | None = None) -> Path:
    """Writes a data set of problems with these ids and one picture each, by default a red one."""
    data = picture or encoded(Image.new("RGB", (90, 60), "red"))
    problems = [Problem(name, f"<image>What is {name}?", "5", (data,)) for name in names]
    write_dataset(directory, {"train": problems}, {})
    return directory


def write_samples(run_dir: Path, contents: Mapping[int, bytes]) -> None:
    """Writes sample files from bytes without syncing them, for many large ones."""
    (run_dir / "samples").mkdir(exist_ok=True)
    for step, content in contents.items():
        (run_dir / "samples" / f"step_{step:06d}.jsonl").write_bytes(content)


def sample_bytes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(to_json(row) + "\n" for row in rows).encode()
