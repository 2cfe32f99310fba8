"""The sampler by itself: against Hugging Face `generate`, against two phases of its own, and against memory.

    OMP_NUM_THREADS=1 python benchmarks/speed/rollout.py  # every case, both shapes
    OMP_NUM_THREADS=1 python benchmarks/speed/rollout.py --case forced --shape geometry3k
    OMP_NUM_THREADS=1 python benchmarks/speed/rollout.py --case explore --rounds 9
    python benchmarks/speed/rollout.py --model DIR --case ceiling  # a model of your own
    python benchmarks/speed/rollout.py --random 3b --shape gpu --case forced ceiling      # one GPU

forced: every response has the maximal length. free: responses end by chance, a third of the maximum long on
average. explore: every third prompt is explored, in the same pool (in flight) or after it (two phases).
ceiling: a decode step's seconds beside those that reading its weights and keys would take.

Same weights, prompts, samples, precision and allowed ids on both sides, in one process and taking turns, so
that a machine whose speed drifts is as slow for one as for the other. Prompts come encoded to both.
Prints medians and the median of the pair-by-pair ratios; writes JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np
import torch
import transformers
from PIL import Image
from torch.nn.functional import pad
from transformers import Qwen2_5_VLForConditionalGeneration

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, the repository's root is not on the path

from benchmarks.speed.step import machine
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.model.load import DTYPES, banned_ids, load_model
from vlm_uec.model.policy import Policy
from vlm_uec.rollout.engine import Progress, Request, Sampling, StreamKey
from vlm_uec.rollout.native import NativeEngine
from vlm_uec.types import EncodedPrompt, Group, Problem

COPY_BYTES = {"cpu": 1 << 28, "cuda": 1 << 32}
SEED = 1


@dataclass(frozen=True)
class Shape:
    """A picture and a length."""

    pixels: int  # side of the square picture
    max_tokens: int
    prompts: int = 8
    n: int = 16


SHAPES = {
    "short": Shape(84, 64),
    "geometry3k": Shape(392, 128),
    "gpu": Shape(532, 256, prompts=32),  # 256 rows at 8 samples a prompt
}
# Every third prompt gets G' = 16 more, as a training step with exploration does.
EXPLORED_EVERY, EXPLORED_N, EXPLORED_TEMPERATURE = 3, 16, 1.2


@dataclass(frozen=True)
class Drawn:
    """What one call sampled."""

    samples: int
    tokens: int


@dataclass(frozen=True)
class Turn:
    """A call and its seconds."""

    seconds: float
    samples: int
    tokens: int


Sampler = Callable[[int], Drawn]  # of a round's number, from which its random numbers follow
Turns = Mapping[str, Sequence[Turn]]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Models:
    """One checkpoint twice, as this project's policy changes the modules that it is given."""

    path: str
    device: torch.device
    precision: str

    @cached_property
    def tokenizer(self) -> Any:
        return transformers.AutoTokenizer.from_pretrained(self.path)

    @cached_property
    def banned(self) -> torch.Tensor:
        vocabulary = transformers.AutoConfig.from_pretrained(self.path).get_text_config().vocab_size
        return banned_ids(vocabulary, self.tokenizer)

    @cached_property
    def policy(self) -> Policy:
        # Not frozen: a frozen tower's features would be kept from round to round.
        model = load_model(self.path, self.precision, checkpointing=False)
        return Policy(model, self.banned).to(self.device)

    @cached_property
    def library(self) -> Any:
        dtype = DTYPES[self.precision]
        model: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(self.path, dtype=dtype)
        return model.to(self.device).eval()


def encode_prompts(models: Models, shape: Shape) -> list[EncodedPrompt]:
    """A picture of noise and a question each."""
    encoder = PromptEncoder.from_pretrained(
        models.path,
        template="{{ question }}",
        min_pixels=shape.pixels**2,
        max_pixels=shape.pixels**2,
        max_prompt_tokens=4096,
    )
    random = np.random.default_rng(SEED)
    prompts = []
    for number in range(shape.prompts):
        file = BytesIO()
        pixels = random.integers(0, 256, (shape.pixels, shape.pixels, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file, format="PNG")
        question = "<image>What is the value of x?"
        prompts.append(encoder(Problem(str(number), question, "1", images=(file.getvalue(),))))
    return prompts


def library_inputs(prompts: Sequence[EncodedPrompt], models: Models) -> dict[str, torch.Tensor]:
    """The prompts as the library's processor would give them; that needs torchvision."""
    longest = max(prompt.length for prompt in prompts)
    padding = models.tokenizer.pad_token_id

    def left_padded(rows: Sequence[torch.Tensor], value: int) -> torch.Tensor:
        return torch.stack([pad(row, (longest - len(row), 0), value=value) for row in rows])

    ids = [prompt.input_ids for prompt in prompts]
    inputs = {
        "input_ids": left_padded(ids, padding),
        "attention_mask": left_padded([torch.ones_like(row) for row in ids], 0),
        "mm_token_type_ids": left_padded(
            [(row == models.policy.model.config.image_token_id).long() for row in ids], 0
        ),
        "pixel_values": torch.cat([prompt.pixel_values for prompt in prompts]),
        "image_grid_thw": torch.cat([prompt.image_grid_thw for prompt in prompts]),
    }
    return {name: tensor.to(models.device) for name, tensor in inputs.items()}


def ends_for_a_third(banned: torch.Tensor, max_tokens: int) -> list[int]:
    """As many of the allowed ids as make responses a third of the maximum long, were all ids as likely.

    They are of a random model; a trained one ends where it likes, and its observed lengths say how often.
    """
    allowed = torch.nonzero(~banned).flatten()

    def distance(count: int) -> float:
        chance = count / len(allowed)
        return abs((1 - (1 - chance) ** max_tokens) / chance - max_tokens / 3)

    count = min(range(1, len(allowed)), key=distance)
    order = torch.randperm(len(allowed), generator=torch.Generator().manual_seed(SEED))
    return sorted(allowed[order[:count]].tolist())


def silent(_: Progress) -> None:
    """Nobody watches."""


def drawn_from(groups: Sequence[Group]) -> Drawn:
    responses = [response for group in groups for response in group.responses]
    return Drawn(len(responses), sum(len(response.tokens) for response in responses))


def our_sampler(engine: NativeEngine, requests: Sequence[Request]) -> Sampler:
    return lambda number: drawn_from(engine.generate(requests, StreamKey(SEED, number), silent))


def library_responses(
    models: Models, inputs: Mapping[str, torch.Tensor], shape: Shape, ends: Sequence[int]
) -> list[torch.Tensor]:
    """`generate` with the ids that we never sample suppressed; `ends` empty forces the maximal length. Each
    response with its end token and nothing after it."""
    settings: dict[str, Any] = {
        "do_sample": True,
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "num_return_sequences": shape.n,
        "max_new_tokens": shape.max_tokens,
        "pad_token_id": models.tokenizer.pad_token_id,
        "suppress_tokens": torch.nonzero(models.banned).flatten().tolist(),
        **({"eos_token_id": list(ends)} if ends else {"min_new_tokens": shape.max_tokens}),
    }
    tokens = models.library.generate(**inputs, **settings)[:, inputs["input_ids"].shape[1] :]
    ended = torch.isin(tokens, torch.tensor(ends, dtype=torch.int64, device=models.device)).int()
    lengths = (ended.cumsum(dim=1) - ended == 0).sum(dim=1)
    return [row[:length] for row, length in zip(tokens, lengths.tolist(), strict=True)]


def library_sampler(
    models: Models, inputs: Mapping[str, torch.Tensor], shape: Shape, ends: Sequence[int]
) -> Sampler:
    def sample(number: int) -> Drawn:
        torch.manual_seed(number)
        responses = library_responses(models, inputs, shape, ends)
        return Drawn(len(responses), sum(map(len, responses)))

    return sample


def take_turns(samplers: Mapping[str, Sampler], rounds: int, device: torch.device) -> dict[str, list[Turn]]:
    """Every counted call, by side; the first of each side is warm-up."""
    turns: dict[str, list[Turn]] = {side: [] for side in samplers}
    for number in range(rounds + 1):
        for side, sampler in samplers.items():
            seconds, drawn = timed(partial(sampler, number), device)
            turns[side].append(Turn(seconds, drawn.samples, drawn.tokens))
    return {side: taken[1:] for side, taken in turns.items()}


def timed(call: Callable[[], Result], device: torch.device) -> tuple[float, Result]:
    start = now(device)
    result = call()
    return now(device) - start, result


def now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def compare_with_library(
    models: Models, shape: Shape, slots: int | None, rounds: int, *, forced: bool
) -> dict[str, list[Turn]]:
    prompts = encode_prompts(models, shape)
    ends = [] if forced else ends_for_a_third(models.banned, shape.max_tokens)
    requests = [Request(prompt, range(shape.n), Sampling(1.0, 1.0, shape.max_tokens)) for prompt in prompts]
    samplers = {
        "ours": our_sampler(NativeEngine(models.policy, frozenset(ends), slots), requests),
        "generate": library_sampler(models, library_inputs(prompts, models), shape, ends),
    }
    return take_turns(samplers, rounds, models.device)


def compare_phases(models: Models, shape: Shape, slots: int, rounds: int) -> dict[str, list[Turn]]:
    """Exploration in flight and after the regular responses: the same responses, in another time."""
    prompts = encode_prompts(models, shape)
    ends = frozenset(ends_for_a_third(models.banned, shape.max_tokens))
    engine = NativeEngine(models.policy, ends, slots)
    regular = [Request(prompt, range(shape.n), Sampling(1.0, 1.0, shape.max_tokens)) for prompt in prompts]
    seen: dict[str, list[Group]] = {}

    def exploration(prompt: EncodedPrompt) -> Request | None:
        if int(prompt.problem_id) % EXPLORED_EVERY:
            return None
        hot = Sampling(EXPLORED_TEMPERATURE, 1.0, shape.max_tokens)
        return Request(prompt, range(shape.n, shape.n + EXPLORED_N), hot, source="exploration")

    def follow_up(group: Group) -> Request | None:
        return None if group.responses[0].source == "exploration" else exploration(group.prompt)

    def in_flight(number: int) -> Drawn:
        seen["in flight"] = engine.generate(regular, StreamKey(SEED, number), silent, follow_up)
        return drawn_from(seen["in flight"])

    def two_phases(number: int) -> Drawn:
        groups = engine.generate(regular, StreamKey(SEED, number), silent)
        wanted = [request for group in groups if (request := follow_up(group)) is not None]
        seen["two phases"] = [*groups, *engine.generate(wanted, StreamKey(SEED, number), silent)]
        # On a GPU, a row's last bits follow its neighbours.
        if models.device.type == "cpu":
            check_equal(seen["in flight"], seen["two phases"])
        return drawn_from(seen["two phases"])

    return take_turns({"in flight": in_flight, "two phases": two_phases}, rounds, models.device)


def check_equal(first: Sequence[Group], second: Sequence[Group]) -> None:
    """Raises unless both hold the same responses."""
    pairs = zip(responses_of(first), responses_of(second), strict=True)
    if not all(torch.equal(one, other) for one, other in pairs):
        raise RuntimeError("the responses in flight are not those of two phases")


def responses_of(groups: Sequence[Group]) -> list[torch.Tensor]:
    return [response.tokens for group in groups for response in group.responses]


@dataclass(frozen=True)
class Ceiling:
    """A decode step beside the reading that it cannot do without."""

    weight_bytes: int
    cache_bytes: int  # each prompt's keys and values once, and half of the responses' final ones
    bandwidth: float  # bytes a second of a large copy, read and written
    measured_s: float

    @property
    def floor_s(self) -> float:
        return (self.weight_bytes + self.cache_bytes) / self.bandwidth

    @property
    def reached(self) -> float:
        return self.floor_s / self.measured_s


def find_ceiling(models: Models, shape: Shape, rounds: int) -> Ceiling:
    """One full pool of forced lengths, so that every step has the same rows."""
    prompts = encode_prompts(models, shape)
    weights, cache = bytes_a_step(models.policy, prompts, shape)
    seconds = seconds_a_step(models, prompts, shape, rounds)
    return Ceiling(weights, cache, copy_bandwidth(models.device), seconds)


def bytes_a_step(policy: Policy, prompts: Sequence[EncodedPrompt], shape: Shape) -> tuple[int, int]:
    """Of weights and of keys and values, when each is read once a step and prompts are shared."""
    text: Any = policy.model.model.language_model
    layers = sum(weight.nbytes for weight in text.layers.parameters())
    config, head = text.config, policy.head.weight
    size = config.hidden_size // config.num_attention_heads
    position = 2 * config.num_hidden_layers * config.num_key_value_heads * size * head.element_size()
    positions = sum(prompt.length for prompt in prompts) + len(prompts) * shape.n * shape.max_tokens // 2
    return layers + head.nbytes, positions * position


def seconds_a_step(models: Models, prompts: Sequence[EncodedPrompt], shape: Shape, rounds: int) -> float:
    """What a token more costs: whole calls less calls that sample one token, which need no decode step.

    On a GPU the capture of graphs, which every call does anew, is in it.
    """
    engine = NativeEngine(models.policy, frozenset(), len(prompts) * shape.n)

    def sampler(tokens: int) -> Sampler:
        requests = [Request(prompt, range(shape.n), Sampling(1.0, 1.0, tokens)) for prompt in prompts]
        return our_sampler(engine, requests)

    turns = take_turns({"whole": sampler(shape.max_tokens), "first": sampler(1)}, rounds, models.device)
    pairs = zip(turns["whole"], turns["first"], strict=True)
    return median(whole.seconds - first.seconds for whole, first in pairs) / (shape.max_tokens - 1)


def copy_bandwidth(device: torch.device) -> float:
    """Bytes read and written a second by the fastest of a few large copies."""
    source = torch.ones(COPY_BYTES[device.type], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = [timed(partial(target.copy_, source), device)[0] for _ in range(8)]
    return 2 * source.nbytes / min(seconds)


def print_turns(title: str, turns: Turns) -> None:
    print(f"\n{title}")
    print(f"{'':>12} {'seconds':>9} {'samples/s':>10} {'tokens/s':>9} {'mean length':>12}")
    for side, taken in turns.items():
        seconds = median(turn.seconds for turn in taken)
        samples = median(turn.samples / turn.seconds for turn in taken)
        tokens = median(turn.tokens / turn.seconds for turn in taken)
        length = sum(turn.tokens for turn in taken) / sum(turn.samples for turn in taken)
        print(f"{side:>12} {seconds:>9.3f} {samples:>10.1f} {tokens:>9.0f} {length:>12.1f}")
    first, second = turns
    for name, ratios in ratios_of(turns).items():
        low, high = min(ratios), max(ratios)
        print(f"{name}, {first} / {second}: {median(ratios):.2f} (pair by pair {low:.2f} to {high:.2f})")


def ratios_of(turns: Turns) -> dict[str, list[float]]:
    """First side to second, pair by pair."""
    pairs = list(zip(*turns.values(), strict=True))
    return {
        "time": [one.seconds / other.seconds for one, other in pairs],
        "tokens/s": [one.tokens / one.seconds / (other.tokens / other.seconds) for one, other in pairs],
    }


def print_ceiling(title: str, ceiling: Ceiling, device: torch.device) -> None:
    print(f"\n{title}")
    print(
        f"weights {ceiling.weight_bytes / 1e6:.1f} MB and keys and values {ceiling.cache_bytes / 1e6:.1f} MB"
    )
    print(f"a step at {ceiling.bandwidth / 1e9:.1f} GB/s: {1e3 * ceiling.floor_s:.3f} ms;", end=" ")
    print(f"measured {1e3 * ceiling.measured_s:.3f} ms: {100 * ceiling.reached:.1f} % of the ceiling")
    if device.type == "cpu":
        print("(on a CPU arithmetic comes before memory, and a small model stays in the processor's cache)")


def run_cases(models: Models, arguments: argparse.Namespace) -> dict[str, Any]:
    """Prints every case asked for; returns what to write down."""
    results: dict[str, Any] = {}
    for name in arguments.shape:
        shape = SHAPES[name]
        for case in arguments.case:
            title = f"{case}, {name}"
            if case == "ceiling":
                # One pool full: 64 rows are a CPU's default.
                ceiling = find_ceiling(models, replace(shape, n=8), arguments.rounds)
                print_ceiling(title, ceiling, models.device)
                results[title] = {
                    **asdict(ceiling),
                    "floor_s": ceiling.floor_s,
                    "reached": ceiling.reached,
                }
                continue
            turns = compare(case, models, shape, arguments)
            print_turns(title, turns)
            rows = {side: [asdict(turn) for turn in taken] for side, taken in turns.items()}
            results[title] = {"shape": asdict(shape), "turns": rows, "ratios": ratios_of(turns)}
    return results


def compare(case: str, models: Models, shape: Shape, arguments: argparse.Namespace) -> dict[str, list[Turn]]:
    if case == "explore":
        shape = replace(shape, prompts=24, n=8)
        return compare_phases(models, shape, arguments.slots or 64, arguments.rounds)
    return compare_with_library(models, shape, arguments.slots, arguments.rounds, forced=case == "forced")


@contextmanager
def model_directory(given: str | None, shape: str) -> Iterator[str]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "benchmarks/speed/random_model.py", "--shape", shape, "--out", directory]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        yield directory


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cases = ["forced", "free", "explore", "ceiling"]
    parser.add_argument("--case", nargs="+", choices=cases, default=cases)
    parser.add_argument("--shape", nargs="+", choices=sorted(SHAPES), default=["geometry3k", "short"])
    parser.add_argument("--model", help="a model directory; random weights if not given")
    parser.add_argument("--random", default="2m", help="shape of the random weights (see random_model.py)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slots", type=int, help="of our pool; by default what a training run would take")
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
    }
    record = {"machine": {**machine(), **versions}, "settings": settings, "cases": results}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {arguments.out}")


if __name__ == "__main__":
    main()
