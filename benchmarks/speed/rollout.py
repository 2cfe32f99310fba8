"""Speed of the sampler alone: against Hugging Face `generate`, two-phase exploration and memory bandwidth.

    OMP_NUM_THREADS=1 python benchmarks/speed/rollout.py  # every case, both shapes
    OMP_NUM_THREADS=1 python benchmarks/speed/rollout.py --case forced --shape geometry3k
    OMP_NUM_THREADS=1 python benchmarks/speed/rollout.py --case explore --rounds 9
    python benchmarks/speed/rollout.py --model DIR --case ceiling  # a model directory
    python benchmarks/speed/rollout.py --random 3b --shape gpu --case forced ceiling      # one GPU

forced: every response has the maximal length. free: responses end at random, with a third of the maximal
length on average. explore: every third prompt is explored, during the rollout (in flight) or after it (two
phases). ceiling: the time of a decode step, and the time of reading its weights, keys and values.

Both sides have the same weights, encoded prompts, samples, precision and allowed ids, run in one process and
take turns, so that changes in the machine's speed affect both equally. Prints medians and the median of the
pair-by-pair ratios; writes JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
import transformers

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.machine import machine_info
from benchmarks.lib.speed.sampling import (
    SAMPLING_SHAPES,
    SEED,
    Models,
    SamplingShape,
    end_ids_for_a_third,
    hf_inputs,
    hf_responses,
    ignore_progress,
    model_directory,
    noise_problems,
)
from benchmarks.lib.speed.timed_calls import (
    SampleCount,
    Sampler,
    TimedCall,
    call_alternately,
    print_calls,
    ratios_by_pair,
    timed_call,
)
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.model.policy import Policy
from vlm_uec.rollout.engine import Request, Sampling, StreamKey
from vlm_uec.rollout.native import NativeEngine
from vlm_uec.types import EncodedPrompt, Group

COPY_BYTES = {"cpu": 1 << 28, "cuda": 1 << 32}


# Every third prompt gets G' = 16 more responses, as in a training step with exploration.
EXPLORED_EVERY, EXPLORED_N, EXPLORED_TEMPERATURE = 3, 16, 1.2


def encode_prompts(models: Models, shape: SamplingShape) -> list[EncodedPrompt]:
    encoder = PromptEncoder.from_pretrained(
        models.path,
        template="{{ question }}",
        min_pixels=shape.pixels**2,
        max_pixels=shape.pixels**2,
        max_prompt_tokens=4096,
    )
    return [encoder(problem) for problem in noise_problems(shape)]


def count_samples(groups: Sequence[Group]) -> SampleCount:
    responses = [response for group in groups for response in group.responses]
    return SampleCount(len(responses), sum(len(response.tokens) for response in responses))


def our_sampler(engine: NativeEngine, requests: Sequence[Request]) -> Sampler:
    return lambda number: count_samples(engine.generate(requests, StreamKey(SEED, number), ignore_progress))


def hf_sampler(
    models: Models, inputs: Mapping[str, torch.Tensor], shape: SamplingShape, ends: Sequence[int]
) -> Sampler:
    def sample(number: int) -> SampleCount:
        torch.manual_seed(number)
        responses = hf_responses(models, inputs, shape, ends)
        return SampleCount(len(responses), sum(map(len, responses)))

    return sample


def compare_with_hf(
    models: Models, shape: SamplingShape, slots: int | None, rounds: int, *, forced: bool
) -> dict[str, list[TimedCall]]:
    prompts = encode_prompts(models, shape)
    ends = [] if forced else end_ids_for_a_third(models.banned, shape.max_tokens)
    requests = [
        Request(prompt, range(shape.n), Sampling(1.0, shape.top_p, shape.max_tokens)) for prompt in prompts
    ]
    samplers = {
        "ours": our_sampler(NativeEngine(models.policy, frozenset(ends), slots), requests),
        "generate": hf_sampler(models, hf_inputs(prompts, models), shape, ends),
    }
    return call_alternately(samplers, rounds, models.device)


def compare_phases(
    models: Models, shape: SamplingShape, slots: int, rounds: int
) -> dict[str, list[TimedCall]]:
    """Exploration in flight and after the regular responses; the responses are the same."""
    prompts = encode_prompts(models, shape)
    ends = frozenset(end_ids_for_a_third(models.banned, shape.max_tokens))
    engine = NativeEngine(models.policy, ends, slots)
    regular = [
        Request(prompt, range(shape.n), Sampling(1.0, shape.top_p, shape.max_tokens)) for prompt in prompts
    ]
    sampled: dict[str, list[Group]] = {}

    def exploration(prompt: EncodedPrompt) -> Request | None:
        if int(prompt.problem_id) % EXPLORED_EVERY:
            return None
        hot = Sampling(EXPLORED_TEMPERATURE, shape.top_p, shape.max_tokens)
        return Request(prompt, range(shape.n, shape.n + EXPLORED_N), hot, source="exploration")

    def follow_up(group: Group) -> Request | None:
        return None if group.responses[0].source == "exploration" else exploration(group.prompt)

    def in_flight(number: int) -> SampleCount:
        sampled["in flight"] = engine.generate(regular, StreamKey(SEED, number), ignore_progress, follow_up)
        return count_samples(sampled["in flight"])

    def two_phases(number: int) -> SampleCount:
        groups = engine.generate(regular, StreamKey(SEED, number), ignore_progress)
        requests = [request for group in groups if (request := follow_up(group)) is not None]
        sampled["two phases"] = [
            *groups,
            *engine.generate(requests, StreamKey(SEED, number), ignore_progress),
        ]
        # On a GPU, the last bits of a row depend on the other rows of the batch.
        if models.device.type == "cpu":
            check_equal(sampled["in flight"], sampled["two phases"])
        return count_samples(sampled["two phases"])

    return call_alternately({"in flight": in_flight, "two phases": two_phases}, rounds, models.device)


def check_equal(first: Sequence[Group], second: Sequence[Group]) -> None:
    """Raises RuntimeError unless both have the same responses."""
    pairs = zip(responses_of(first), responses_of(second), strict=True)
    if not all(torch.equal(one, other) for one, other in pairs):
        raise RuntimeError("in-flight exploration and two phases sampled different responses")


def responses_of(groups: Sequence[Group]) -> list[torch.Tensor]:
    return [response.tokens for group in groups for response in group.responses]


@dataclass(frozen=True)
class Ceiling:
    """Time of a decode step, and the bytes that it must read."""

    weight_bytes: int
    cache_bytes: int  # keys and values of each prompt once, and half of those of complete responses
    bandwidth: float  # bytes per second of a large copy, read and written
    measured_s: float  # the decode step

    @property
    def floor_s(self) -> float:
        return (self.weight_bytes + self.cache_bytes) / self.bandwidth

    @property
    def reached(self) -> float:
        return self.floor_s / self.measured_s


def measure_ceiling(models: Models, shape: SamplingShape, rounds: int) -> Ceiling:
    """With one full pool of forced lengths, so that every step has the same rows."""
    prompts = encode_prompts(models, shape)
    weights, cache = bytes_per_step(models.policy, prompts, shape)
    seconds = seconds_per_step(models, prompts, shape, rounds)
    return Ceiling(weights, cache, copy_bandwidth(models.device), seconds)


def bytes_per_step(policy: Policy, prompts: Sequence[EncodedPrompt], shape: SamplingShape) -> tuple[int, int]:
    """Bytes of weights, and of keys and values, if each is read once per step and prompts are shared."""
    text: Any = policy.model.model.language_model
    layers = sum(weight.nbytes for weight in text.layers.parameters())
    config, head = text.config, policy.head.weight
    size = config.hidden_size // config.num_attention_heads
    position = 2 * config.num_hidden_layers * config.num_key_value_heads * size * head.element_size()
    positions = sum(prompt.length for prompt in prompts) + len(prompts) * shape.n * shape.max_tokens // 2
    return layers + head.nbytes, positions * position


def seconds_per_step(
    models: Models, prompts: Sequence[EncodedPrompt], shape: SamplingShape, rounds: int
) -> float:
    """Seconds of a decode step: whole calls minus calls that sample one token, which need no decode step.

    On a GPU this includes the capture of graphs, which is repeated in every call.
    """
    engine = NativeEngine(models.policy, frozenset(), len(prompts) * shape.n)

    def sampler(tokens: int) -> Sampler:
        requests = [Request(prompt, range(shape.n), Sampling(1.0, shape.top_p, tokens)) for prompt in prompts]
        return our_sampler(engine, requests)

    calls = call_alternately({"whole": sampler(shape.max_tokens), "first": sampler(1)}, rounds, models.device)
    pairs = zip(calls["whole"], calls["first"], strict=True)
    return median(whole.seconds - first.seconds for whole, first in pairs) / (shape.max_tokens - 1)


def copy_bandwidth(device: torch.device) -> float:
    """Bytes per second, read and written, of the fastest of a few large copies."""
    source = torch.ones(COPY_BYTES[device.type], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = [timed_call(partial(target.copy_, source), device)[0] for _ in range(8)]
    return 2 * source.nbytes / min(seconds)


def print_ceiling(title: str, ceiling: Ceiling, device: torch.device) -> None:
    print(f"\n{title}")
    print(
        f"weights {ceiling.weight_bytes / 1e6:.1f} MB and keys and values {ceiling.cache_bytes / 1e6:.1f} MB"
    )
    print(f"a step at {ceiling.bandwidth / 1e9:.1f} GB/s: {1e3 * ceiling.floor_s:.3f} ms;", end=" ")
    print(f"measured {1e3 * ceiling.measured_s:.3f} ms: {100 * ceiling.reached:.1f} % of the ceiling")
    if device.type == "cpu":
        print(
            "(on a CPU the arithmetic is the bottleneck, and a small model fits into the processor's cache)"
        )


def run_cases(models: Models, arguments: argparse.Namespace) -> dict[str, Any]:
    """Prints the requested cases; returns their record."""
    results: dict[str, Any] = {}
    for name in arguments.shape:
        shape = replace(SAMPLING_SHAPES[name], top_p=arguments.top_p)
        for case in arguments.case:
            title = f"{case}, {name}"
            if case == "ceiling":
                # One full pool: a CPU has 64 rows by default.
                ceiling = measure_ceiling(models, replace(shape, n=8), arguments.rounds)
                print_ceiling(title, ceiling, models.device)
                results[title] = {
                    **asdict(ceiling),
                    "floor_s": ceiling.floor_s,
                    "reached": ceiling.reached,
                }
                continue
            calls = compare(case, models, shape, arguments)
            print_calls(title, calls)
            rows = {side: [asdict(call) for call in taken] for side, taken in calls.items()}
            results[title] = {"shape": asdict(shape), "turns": rows, "ratios": ratios_by_pair(calls)}
    return results


def compare(
    case: str, models: Models, shape: SamplingShape, arguments: argparse.Namespace
) -> dict[str, list[TimedCall]]:
    if case == "explore":
        shape = replace(shape, prompts=24, n=8)
        return compare_phases(models, shape, arguments.slots or 64, arguments.rounds)
    return compare_with_hf(models, shape, arguments.slots, arguments.rounds, forced=case == "forced")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cases = ["forced", "free", "explore", "ceiling"]
    parser.add_argument("--case", nargs="+", choices=cases, default=cases)
    parser.add_argument(
        "--shape", nargs="+", choices=sorted(SAMPLING_SHAPES), default=["geometry3k", "short"]
    )
    parser.add_argument("--model", help="a model directory; random weights if not given")
    parser.add_argument("--random", default="2m", help="shape of the random weights (see random_model.py)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--top-p", type=float, default=1.0, help="of both sides; the recipes have 0.99")
    parser.add_argument("--slots", type=int, help="of our pool; by default as in a training run")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/rollout.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    gpu = torch.cuda.is_available()
    device, precision = torch.device("cuda" if gpu else "cpu"), "bf16" if gpu else "fp32"
    with model_directory(arguments.model, arguments.random) as path:
        results = run_cases(Models(path, device, precision), arguments)
    versions = {"transformers": transformers.__version__}
    settings = {
        "model": arguments.model or arguments.random,
        "precision": precision,
        "slots": arguments.slots,
        "top_p": arguments.top_p,
    }
    record = {"machine": {**machine_info(), **versions}, "settings": settings, "cases": results}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {arguments.out}")


if __name__ == "__main__":
    main()
