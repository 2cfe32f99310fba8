"""Updates on mini-batches of fixed trajectories with the real policy, on any number of ranks.

    deepspeed --num_accelerators 2 tests/support/fixed_trajectories.py DIRECTORY  (or python: one rank)

DIRECTORY contains `batch` (see `vlm_uec.checkpoint.storage`) and `model`; `results-RANKS.json` and
`export-RANKS` are written beside them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from tests.support.failing_passes import nonfinite_updates, out_of_memory_updates
from tests.support.tiny import encoded, noise_picture
from vlm_uec.checkpoint.storage import load_scored
from vlm_uec.config import Config, load_config
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.ranks.collectives import rank, world_size
from vlm_uec.ranks.rendezvous import rendezvous
from vlm_uec.types import Problem, ScoredTrajectory
from vlm_uec.update.learner import Learner, PromptTable
from vlm_uec.update.microbatches import PassBudget
from vlm_uec.zero.build import build_policy, build_reference
from vlm_uec.zero.engine import ZeroPolicy, start_distributed, stop_distributed

ROOT = Path(__file__).resolve().parents[2]
MINIBATCH = 9  # of 16 trajectories: the second has the rest
PICTURES = {
    "wide": [(112, 56)],
    "two": [(56, 56), (84, 56)],
    "text": [],
    "square": [(84, 84)],
    "tall": [(56, 112)],
}
PROBLEMS = {
    name: Problem(
        name,
        "<image>" * len(sizes) + f"Find x in {name}.",
        "1",
        images=tuple(encoded(noise_picture(*size, seed=len(name) + at)) for at, size in enumerate(sizes)),
    )
    for name, sizes in PICTURES.items()
}


def fixed_config(directory: Path, overrides: Sequence[str] = ()) -> Config:
    """The budget is a few rows a pass, so that ranks have several passes, in different numbers."""
    return load_config(
        ROOT / "configs" / "tiny_cpu.yaml",
        [
            f"model.path={directory / 'model'}",
            "model.freeze_vision=false",
            f"deepspeed.config={ROOT / 'configs' / 'zero3.json'}",
            "optim={microbatch_tokens: 160, lr: 1.0e-3, max_grad_norm: 0.5, weight_decay: 0.01}",
            "loss={kl_coef: 0.05, clip_low: 0.1, clip_high: 0.2, dual_clip: 2.0}",
            *overrides,
        ],
    )


def fixed_encoder(config: Config) -> PromptEncoder:
    return PromptEncoder.from_pretrained(
        config.model.path, min_pixels=56 * 56, max_pixels=112 * 112, max_prompt_tokens=256
    )


def main(directory: Path) -> None:
    torch.set_num_threads(1)
    start_distributed(rendezvous())
    config = fixed_config(directory)
    encoder = fixed_encoder(config)
    prompts = {name: encoder(problem) for name, problem in PROBLEMS.items()}
    table = PromptTable({name: prompt.length for name, prompt in prompts.items()}, prompts.__getitem__)
    policy = build_policy(config, encoder.tokenizer)
    reference = build_reference(config, encoder.tokenizer, policy)
    learner = Learner(
        policy,
        reference,
        table,
        config.loss,
        minibatch=MINIBATCH,
        max_tokens=config.rollout.max_tokens,
        budget=PassBudget(config.optim.microbatch_tokens, lambda positions, why: None),
    )
    batch = load_scored(directory / "batch")
    trajectories = [item.trajectory for item in batch]
    old, reference_scores = learner.old_logprobs(trajectories), learner.reference_logprobs(trajectories)
    learner.measure_entropy = True
    stats = learner.replay(batch)
    learner.measure_entropy = False
    policy.export(directory / f"export-{world_size()}", config.lora, config.model.path)
    # An update that computes its old log-probs itself, with the exported weights.
    updated, _ = learner.update(trajectories[:MINIBATCH], old[:MINIBATCH], reference_scores[:MINIBATCH])
    resharded = _resharded(policy, learner, batch[MINIBATCH:], directory)
    nonfinite = nonfinite_updates(policy, learner, trajectories[:MINIBATCH])
    out_of_memory = {}
    if world_size() == 1:
        out_of_memory = out_of_memory_updates(policy, learner, trajectories[:MINIBATCH], directory)
    if rank() == 0:
        results = {
            "resharded": resharded,
            "nonfinite": nonfinite,
            "out_of_memory": out_of_memory,
            "stats": [{**asdict(update), "covariance": dict(update.covariance)} for update in stats],
            "old": [None if piece is None else piece.tolist() for piece in old],
            "reference": [piece.tolist() for piece in reference_scores if piece is not None],
            "updated": [item.old_logprobs.tolist() for item in updated],
        }
        (directory / f"results-{world_size()}.json").write_text(json.dumps(results), encoding="utf-8")


def _resharded(
    policy: ZeroPolicy, learner: Learner, batch: Sequence[ScoredTrajectory], directory: Path
) -> dict[str, float]:
    """Losses and norm of the update after the checkpoint of two ranks; a single rank loads it first."""
    if world_size() == 1:
        policy.load(directory / "zero-2", 2, directory / "scratch")
    policy.save(directory / f"zero-{world_size()}")
    (stats,) = learner.replay(batch)
    return {"policy_loss": stats.policy_loss, "kl_loss": stats.kl_loss or 0.0, "grad_norm": stats.grad_norm}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--local_rank", type=int)
    main(parser.parse_args().directory)
    stop_distributed()
