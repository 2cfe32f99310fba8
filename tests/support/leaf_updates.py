"""Three optimizer steps with and without leaf modules, for several choices of trained weights.

    deepspeed --num_accelerators 2 tests/support/leaf_updates.py DIRECTORY

DIRECTORY contains `model`; rank 0 writes `leaf_updates.json`: {variant: {"leaf" or "plain": numbers}}.
"""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import torch

from tests.support.fixed_trajectories import PROBLEMS, fixed_config, fixed_encoder
from vlm_uec.config import Config
from vlm_uec.model.packing import PackedBatch, Row, pack
from vlm_uec.ranks.collectives import gather_objects, rank
from vlm_uec.ranks.rendezvous import rendezvous
from vlm_uec.zero import engine
from vlm_uec.zero.build import build_policy
from vlm_uec.zero.engine import start_distributed, stop_distributed

VARIANTS = {
    "all": ("model.activation_checkpointing=false",),
    "recomputed": ("model.activation_checkpointing=true",),
    "frozen tower": ("model.activation_checkpointing=true", "model.freeze_vision=true"),
    "adapters": ("model.activation_checkpointing=true", "lora.rank=4", "lora.vision=true"),
    "text adapters": ("model.activation_checkpointing=false", "lora.rank=4"),
}
STEPS = 3


def batches(config: Config) -> list[PackedBatch]:
    """A pass for each step; ranks have different prompts, one of them without a picture."""
    encoder = fixed_encoder(config)
    names = [("wide", "text", "two"), ("text", "square", "tall")][rank()]
    generator = torch.Generator().manual_seed(rank())
    responses = [torch.randint(3, 300, (length,), generator=generator) for length in (6, 9)]
    return [pack([Row(encoder(PROBLEMS[name]), tuple(responses))]) for name in names]


def numbers(config: Config) -> list[float]:
    """Losses of both ranks and gradient norms of the steps, and a sum over the final log-probs."""
    encoder, passes = fixed_encoder(config), batches(config)
    policy = build_policy(config, encoder.tokenizer)
    found: list[float] = []
    for batch in passes[:STEPS]:
        logprobs, entropy = policy.forward(batch)
        loss = logprobs.mean() + 0.1 * entropy.mean()
        policy.backward(loss)
        found += gather_objects(float(loss))
        found.append(policy.step() or 0.0)
    return [*found, *gather_objects(float(policy.score(passes[0])[0].double().sum()))]


def main(directory: Path) -> None:
    torch.set_num_threads(1)
    start_distributed(rendezvous())
    results: dict[str, dict[str, list[float]]] = {}
    for name, overrides in VARIANTS.items():
        config = fixed_config(directory, overrides)
        results[name] = {}
        for kind in ("leaf", "plain"):
            plain = patch.object(engine, "mark_leaf_modules", lambda policy: None)
            with plain if kind == "plain" else nullcontext():
                results[name][kind] = numbers(config)
    if rank() == 0:
        (directory / "leaf_updates.json").write_text(json.dumps(results), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--local_rank", type=int)
    main(parser.parse_args().directory)
    stop_distributed()
