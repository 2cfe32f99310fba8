"""Peak memory that a GPU needs for a step, beside the estimate of `--dry-run` for the same settings.

    python benchmarks/speed/memory_measured.py                                  # one GPU of 80 GB
    python benchmarks/speed/memory_measured.py --ways "3B, LoRA" --out runs/memory.json

Random weights of a published shape, pictures of 532 x 532, 8 prompts x 5 responses of 512 tokens, the whole
trainer (our_worker.py). The measured value is the allocator's peak since the start, loading included. Prints
a line for each estimate that is off by more than 15 % of the measured peak, and then exits with 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.speed.memory_accuracy import compare_estimates
from benchmarks.lib.speed.step_shapes import StepShape
from benchmarks.lib.speed.worker_config import config_of
from benchmarks.lib.speed.workers import make_model, make_spec, take_step, worker
from vlm_uec.config import Config
from vlm_uec.forecast.memory import RankMemory, rank_memory
from vlm_uec.forecast.shape import model_shape
from vlm_uec.forecast.tokens import PromptLengths, step_tokens
from vlm_uec.zero.config import read_deepspeed_config

LORA = {"lora.rank": "64", "lora.alpha": "64"}
OFFLOADED = {"deepspeed.config": "configs/zero3_offload.json"}
STEPS = 3  # the first of which captures decode steps
PROMPT_TOKENS = 399  # as the worker reports when it is ready


@dataclass(frozen=True)
class Configuration:
    """A model's shape and the settings of what is trained."""

    model: str
    overrides: dict[str, str]
    kl: float = 0.0


CONFIGURATIONS = {
    "3B, all weights": Configuration("3b", {}),
    "3B, tower frozen": Configuration("3b", {"model.freeze_vision": "true"}),
    "3B, LoRA": Configuration("3b", LORA, kl=0.01),
    "3B, offloaded": Configuration("3b", OFFLOADED),
    "7B, LoRA": Configuration("7b", LORA, kl=0.01),
}


def measure(configuration: Configuration, directory: Path) -> dict[str, Any]:
    """Estimated and measured GiB, and median seconds of the steps after the first."""
    model = directory / configuration.model
    if not model.exists():
        make_model(configuration.model, model)
    shape = StepShape(configuration.model, 532, 512, "bf16", prompts=8, n=5, checkpointing=True, budget=8192)
    overrides = {"rollout.slots": "64", **configuration.overrides}
    spec = make_spec(shape, model, directory, steps=STEPS, kl=configuration.kl, overrides=overrides)
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


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ways", nargs="+", choices=list(CONFIGURATIONS), default=list(CONFIGURATIONS))
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/memory.json"))
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        return compare_estimates(
            arguments.ways, lambda name: measure(CONFIGURATIONS[name], Path(directory)), arguments.out
        )


if __name__ == "__main__":
    sys.exit(main())
