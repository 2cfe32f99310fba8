"""This project's trainer, one step at a time on command, timed by phase: the counterpart of trl_worker.py.

    OMP_NUM_THREADS=1 python benchmarks/speed/our_worker.py SPEC.json PORT
    OMP_NUM_THREADS=1 deepspeed --num_accelerators 2 benchmarks/speed/our_worker.py SPEC.json PORT

Protocol and SPEC.json are those of trl_worker.py, with dotted config keys in "overrides". The whole trainer
runs: ZeRO-3 engine, rollout on gathered weights, retention, update. Only rewards and lengths are forced:
sample i of a prompt's G has reward i / (G - 1), and no id ends a response.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from io import StringIO
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import torch
import transformers

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.speed.worker_config import config_of
from vlm_uec.collector import Collector
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.data.prompts import prepare_prompts
from vlm_uec.data.schedule import MixturePart, ProblemSchedule
from vlm_uec.model.load import end_ids
from vlm_uec.ranks.collectives import rank, world_size
from vlm_uec.ranks.rendezvous import rendezvous
from vlm_uec.rollout.native import NativeEngine
from vlm_uec.telemetry.display import Display
from vlm_uec.telemetry.metrics import peak_memory_gib, sampled_tokens
from vlm_uec.timers import PhaseTimer
from vlm_uec.trainer import StepOutcome, Trainer
from vlm_uec.types import Problem, Reward
from vlm_uec.update.learner import Learner, PromptTable
from vlm_uec.update.microbatches import PassBudget
from vlm_uec.zero.build import build_policy, build_reference
from vlm_uec.zero.engine import start_distributed, stop_distributed

PHASES = {
    "generation": ("rollout", "exploration"),
    "scoring": ("reward", "old", "reference"),
    "update": ("update", "replay", "other"),
}


class ForcedRewards:
    """i / (G - 1) for the i-th response to a prompt; 0 for the first G responses to a difficult prompt."""

    def __init__(self, n: int, difficult_share: float) -> None:
        self._n, self._share = n, difficult_share
        self._rewarded: Counter[str] = Counter()

    def __call__(self, text: str, problem: Problem) -> Reward:
        index = self._rewarded[problem.id]
        self._rewarded[problem.id] += 1
        # 61 and 100 are coprime, so difficult prompts are spread evenly over the ids.
        is_difficult = 61 * int(problem.id) % 100 < 100 * self._share
        failed = is_difficult and index < self._n
        value = 0.0 if failed else (index % self._n) / (self._n - 1)
        return Reward(value, value, 0.0, "forced")


def build(spec: Mapping[str, Any]) -> tuple[Trainer, PhaseTimer, Mapping[str, int]]:
    config = config_of(spec)
    encoder = PromptEncoder.from_pretrained(
        config.model.path,
        template=config.prompt.template,
        min_pixels=config.data.min_pixels,
        max_pixels=config.data.max_pixels,
        max_prompt_tokens=config.data.max_prompt_tokens,
    )
    problems = [
        Problem(row["id"], row["question"], "1", images=(Path(row["image"]).read_bytes(),))
        for row in spec["problems"]
    ]
    prompts = prepare_prompts(problems, encoder)
    policy = build_policy(config, encoder.tokenizer)
    reference = build_reference(config, encoder.tokenizer, policy)
    ends = frozenset[int]() if spec["forced_lengths"] else end_ids(config.model.path, encoder.tokenizer)
    collector = Collector(
        NativeEngine(policy.policy, ends, config.rollout.slots),
        prompts,
        encoder.response_text,
        ForcedRewards(config.rollout.n, spec["difficult_share"]),
        config.rollout,
        config.exploration,
        seed=config.train.seed,
    )
    learner = Learner(
        policy,
        reference,
        PromptTable(prompts.tokens, prompts.encode),
        config.loss,
        minibatch=config.optim.minibatch * config.rollout.n,
        max_tokens=config.rollout.max_tokens,
        budget=PassBudget(config.optim.microbatch_tokens, lambda positions, why: print(why, positions)),
    )
    timer = PhaseTimer()
    display = Display(active=False, stream=StringIO())
    ids = tuple(sorted(prompts.problems))
    schedule = ProblemSchedule([MixturePart("", ids, config.rollout.prompts)], config.train.seed)
    trainer = Trainer(
        config,
        policy,
        collector,
        learner,
        schedule,
        timer,
        announce=display.start_phase,
        report=display.line,
        on_progress=display.progress,
    )
    return trainer, timer, prompts.tokens


def text_weights(model: Any) -> int:
    """Number of weights of the text layers and the head, without the embedding and the tower."""
    weights = [*model.model.language_model.layers.parameters(), model.lm_head.weight]
    return sum(getattr(weight, "ds_numel", weight.numel()) for weight in weights)


def measured_step(
    outcome: StepOutcome, times: Mapping[str, float], prompt_tokens: Mapping[str, int], weights: int
) -> dict[str, float]:
    trajectories = [*outcome.experience.regular, *outcome.experience.explored]
    phases = {name: sum(times.get(f"time/{part}", 0.0) for part in parts) for name, parts in PHASES.items()}
    return {
        **phases,
        "step": times["time/step"],
        "peak_gib": peak_memory_gib(),
        "completion_tokens": sum(len(t.response.tokens) for t in trajectories),
        "tokens": sampled_tokens(trajectories, prompt_tokens),
        "update_flops": 6 * weights * sum(update.unique_tokens for update in outcome.update.stats),
    }


def main() -> None:
    spec, port = json.loads(Path(sys.argv[-2]).read_text(encoding="utf-8")), int(sys.argv[-1])
    start_distributed(rendezvous())
    torch.set_num_threads(spec["threads"])
    trainer, timer, prompt_tokens = build(spec)
    weights = text_weights(trainer.policy.policy.model)
    benchmark = None if rank() else Client(("127.0.0.1", port), authkey=b"benchmark")
    if benchmark:
        tokens = sorted(set(prompt_tokens.values()))
        versions = {"torch": torch.__version__, "transformers": transformers.__version__}
        benchmark.send({"ready": {**versions, "ranks": world_size(), "prompt_tokens": tokens}})
    for step in range(1, spec["steps"] + 1):
        if benchmark and benchmark.recv() == "stop":
            break
        timer.finish()
        outcome = trainer.step(step)
        times = timer.finish()
        if benchmark:
            benchmark.send(measured_step(outcome, times, prompt_tokens, weights))
    stop_distributed()


if __name__ == "__main__":
    main()
