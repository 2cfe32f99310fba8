"""What a GPU held at a step's fullest moment, beside what `--dry-run` estimates for the same settings.

    python benchmarks/speed/memory_measured.py                                  # one GPU of 80 GB
    python benchmarks/speed/memory_measured.py --ways "3B, LoRA" --out runs/memory.json

Random weights of a published shape, pictures of 532 x 532, 8 prompts x 5 responses of 512 tokens, the whole
trainer (our_worker.py). Measured is the allocator's peak since the start, loading included. Where an estimate
is off by more than 15 % of the measured peak, a line says so, and it exits with 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, the repository's root is not on the path

from benchmarks.speed.our_worker import config_of
from benchmarks.speed.step import Shape, machine, make_model, make_spec, take_step, worker
from vlm_uec.config import Config
from vlm_uec.forecast.memory import RankMemory, rank_memory
from vlm_uec.forecast.shape import model_shape
from vlm_uec.forecast.tokens import PromptLengths, step_tokens
from vlm_uec.zero.config import read_deepspeed_config

LORA = {"lora.rank": "64", "lora.alpha": "64"}
OFFLOADED = {"deepspeed.config": "configs/zero3_offload.json"}
STEPS = 3  # the first of which captures decode steps
PROMPT_TOKENS = 399  # as the worker says when it is ready
MOST_OFF = 0.15  # of the measured peak


@dataclass(frozen=True)
class Way:
    """A model's shape and what is trained of it."""

    model: str
    overrides: dict[str, str]
    kl: float = 0.0


WAYS = {
    "3B, all weights": Way("3b", {}),
    "3B, tower frozen": Way("3b", {"model.freeze_vision": "true"}),
    "3B, LoRA": Way("3b", LORA, kl=0.01),
    "3B, offloaded": Way("3b", OFFLOADED),
    "7B, LoRA": Way("7b", LORA, kl=0.01),
}


def measure(way: Way, model: Path, directory: Path) -> dict[str, Any]:
    """Estimated and measured GiB, and seconds of the last steps."""
    shape = Shape(way.model, 532, 512, "bf16", prompts=8, n=5, checkpointing=True, budget=8192)
    overrides = {"rollout.slots": "64", **way.overrides}
    spec = make_spec(shape, model, directory, steps=STEPS, kl=way.kl, overrides=overrides)
    path = directory / "spec.json"
    path.write_text(json.dumps(spec), encoding="utf-8")
    with worker("our", path, 1) as connection:
        steps = [take_step(connection) for _ in range(STEPS)]
    memory = estimate(config_of(spec), PromptLengths(PROMPT_TOKENS, PROMPT_TOKENS))
    return {
        "estimated_rollout": memory.rollout / 2**30,
        "estimated_update": memory.update / 2**30,
        "estimated": memory.peak / 2**30,
        "measured": steps[-1]["peak_gib"],
        **{name: median(step[name] for step in steps[1:]) for name in ("generation", "update", "step")},
        "completion_tokens": steps[-1]["completion_tokens"],
    }


def estimate(config: Config, lengths: PromptLengths) -> RankMemory:
    shape = model_shape(config.model.path)
    assert shape is not None
    zero = read_deepspeed_config(config.deepspeed.config, config.model.precision, config.optim)
    return rank_memory(config, zero["zero_optimization"], shape, lengths, step_tokens(config, lengths, 1), 1)


def misses(told: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A line for each way whose estimate is too far from what was measured."""
    off = {name: abs(row["estimated"] / row["measured"] - 1) for name, row in told.items()}
    return [
        f"{name}: the estimate is off by {share:.0%}, more than {MOST_OFF:.0%}"
        for name, share in off.items()
        if share > MOST_OFF
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/memory.json"))
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {}
    print(f"{'GiB':<20}{'estimated':>11}{'measured':>10}{'ratio':>7}{'step, s':>9}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        for name in arguments.ways:
            way, model = WAYS[name], Path(directory) / WAYS[name].model
            if not model.exists():
                make_model(way.model, model)
            told[name] = row = measure(way, model, Path(directory))
            ratio = row["estimated"] / row["measured"]
            print(
                f"{name:<20}{row['estimated']:>11.1f}{row['measured']:>10.1f}{ratio:>7.2f}{row['step']:>9.1f}"
            )
            arguments.out.write_text(
                json.dumps({"machine": machine(), "ways": told}, indent=2) + "\n", encoding="utf-8"
            )
    print(f"written to {arguments.out}")
    for line in (missed := misses(told)):
        print(line)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
