"""Profiles one micro-batch under ZeRO-3 and 16 decode steps; prints the largest entries of each.

    python benchmarks/speed/trace.py --random 3b --shape gpu      # one GPU
    OMP_NUM_THREADS=1 DS_ACCELERATOR=cpu python benchmarks/speed/trace.py --random 2m --shape short

An entry is an operation or kernel, by the time in it alone: on the GPU if there is one, else on the CPU.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.launching import TINY_CONFIG, free_port
from benchmarks.lib.speed.sampling import (
    SAMPLING_SHAPES,
    SamplingShape,
    ignore_progress,
    model_directory,
    noise_problems,
)
from vlm_uec.config import Config, load_config
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.model.packing import PackedBatch, Row, pack
from vlm_uec.ranks.rendezvous import rendezvous
from vlm_uec.rollout.engine import Request, Sampling, StreamKey
from vlm_uec.rollout.native import NativeEngine
from vlm_uec.zero.build import build_policy
from vlm_uec.zero.engine import ZeroPolicy, start_distributed, stop_distributed

ENTRIES, DECODE_STEPS, WARM_UP, N = 10, 16, 3, 8


def make_config(path: str, shape: SamplingShape, gpu: bool) -> Config:
    settings = {
        "model.path": path,
        "model.precision": "bf16" if gpu else "fp32",
        "model.freeze_vision": False,
        "model.activation_checkpointing": True,
        "data.min_pixels": shape.pixels**2,
        "data.max_pixels": shape.pixels**2,
        "data.max_prompt_tokens": 4096,
        "deepspeed.config": f"configs/zero3{'' if gpu else '_cpu'}.json",
    }
    return load_config(TINY_CONFIG, [f"{key}={value}" for key, value in settings.items()])


def print_profile(title: str, work: Callable[[], object], gpu: bool) -> None:
    for _ in range(WARM_UP):
        work()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]
    with profile(activities=activities) as trace:
        work()
    order = "self_cuda_time_total" if gpu else "self_cpu_time_total"
    print(
        f"\n{title}\n{trace.key_averages().table(sort_by=order, row_limit=ENTRIES, max_name_column_width=60)}"
    )


def micro_batch(policy: ZeroPolicy, batch: PackedBatch) -> None:
    policy.backward(policy.forward(batch)[0].mean())
    policy.discard()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--random", default="2m", help="shape of the random weights (see random_model.py)")
    parser.add_argument("--shape", choices=sorted(SAMPLING_SHAPES), default="short")
    parser.add_argument("--top-p", type=float, default=0.99)
    arguments = parser.parse_args()
    shape, gpu = SAMPLING_SHAPES[arguments.shape], torch.cuda.is_available()
    os.environ.setdefault("MASTER_PORT", str(free_port()))
    start_distributed(rendezvous())
    with model_directory(None, arguments.random) as path:
        config = make_config(path, shape, gpu)
        encoder = PromptEncoder.from_config(config)
        prompts = [encoder(problem) for problem in noise_problems(shape)]
        policy = build_policy(config, encoder.tokenizer)
    responses = tuple(torch.randint(3, 300, (shape.max_tokens,)) for _ in range(N))
    batch = pack([Row(prompts[0], responses)])
    positions = len(batch.input_ids)
    print_profile(f"a micro-batch of {positions} positions", lambda: micro_batch(policy, batch), gpu)
    # The first token of a response comes from the prefill.
    sampling = Sampling(1.0, arguments.top_p, DECODE_STEPS + 1)
    requests = [Request(prompt, range(N), sampling) for prompt in prompts]
    with policy.gathered() as gathered:
        engine = NativeEngine(gathered, frozenset(), len(prompts) * N)
        title = f"prefill and {DECODE_STEPS} decode steps of {len(prompts) * N} rows"
        print_profile(title, lambda: engine.generate(requests, StreamKey(1, 1), ignore_progress), gpu)
    stop_distributed()


if __name__ == "__main__":
    main()
