"""The evaluator's samples a second beside those of Hugging Face `generate(num_return_sequences=n)`.

    OMP_NUM_THREADS=1 python benchmarks/speed/passk.py                               # both cases, both shapes
    OMP_NUM_THREADS=1 python benchmarks/speed/passk.py --case free --shape geometry3k
    python benchmarks/speed/passk.py --model DIR --shape gpu  # one GPU, a model of your own

forced: every response has the maximal length. free: responses end by chance, a third of the maximum long on
average. Each side goes from problems to scored samples: ours by `sample_answers`, as eval/passk.py calls it,
with every sample appended to a file; the other encodes the same prompts, generates for 8 of them at a time,
decodes and scores. Same weights, problems, precision and allowed ids, in one process and taking turns.

Prints medians and the pair-by-pair ratios of samples a second; writes JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path
from statistics import median

import numpy as np
import torch
import transformers
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a file, the repository's root is not on the path

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
)
from benchmarks.lib.speed.timed_calls import SampleCount, Sampler, TimedCall, call_alternately, print_calls
from eval.samples import Sample
from eval.scorers import Scorer, score, scorers_for
from eval.store import SampleStore, append
from vlm_uec.answers import sample_answers
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.data.prompts import PromptSet, prepare_prompts
from vlm_uec.rollout.engine import Sampling
from vlm_uec.rollout.native import NativeEngine
from vlm_uec.types import Problem

PROMPTS, BATCH = 24, 8


@dataclass(frozen=True)
class Task:
    """What both sides are to do."""

    shape: SamplingShape
    prompts: PromptSet
    scorers: Mapping[str, Scorer]
    ends: Sequence[int]  # ids that end a response; none forces the maximal length


def task_of(models: Models, shape: SamplingShape, *, forced: bool) -> Task:
    encoder = PromptEncoder.from_pretrained(
        models.path, min_pixels=shape.pixels**2, max_pixels=shape.pixels**2, max_prompt_tokens=4096
    )
    problems = list(drawn_problems(shape))
    ends = [] if forced else end_ids_for_a_third(models.banned, shape.max_tokens)
    return Task(shape, prepare_prompts(problems, encoder), scorers_for(problems, None, None), ends)


def drawn_problems(shape: SamplingShape) -> Iterator[Problem]:
    """A picture of noise and a question each."""
    random = np.random.default_rng(SEED)
    for number in range(shape.prompts):
        file = BytesIO()
        pixels = random.integers(0, 256, (shape.pixels, shape.pixels, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file, format="PNG")
        yield Problem(str(number), "<image>What is the value of x?", "1", images=(file.getvalue(),))


def our_sampler(models: Models, task: Task, slots: int | None) -> Sampler:
    engine = NativeEngine(models.policy, frozenset(task.ends), slots)
    shape, problems = task.shape, task.prompts.problems

    def draw(number: int) -> SampleCount:
        samples: list[Sample] = []
        with tempfile.TemporaryDirectory() as folder, SampleStore(Path(folder)).appending(0) as part:
            for answer in sample_answers(
                engine,
                task.prompts,
                models.tokenizer,
                dict.fromkeys(problems, range(shape.n)),
                n=shape.n,
                sampling=Sampling(1.0, 1.0, shape.max_tokens),
                seed=number,
                on_progress=ignore_progress,
            ):
                samples.append(Sample(**vars(answer), scores={}))
                append(part, samples[-1])
        for sample in samples:
            score(task.scorers, sample.text, problems[sample.problem_id])
        return SampleCount(len(samples), sum(sample.tokens or 0 for sample in samples))

    return draw


def hf_sampler(models: Models, task: Task) -> Sampler:
    names = list(task.prompts.problems)
    batches = [names[start : start + BATCH] for start in range(0, len(names), BATCH)]

    def sample(number: int) -> SampleCount:
        torch.manual_seed(number)
        lengths = []
        for batch in batches:
            inputs = hf_inputs([task.prompts.encode(name) for name in batch], models)
            responses = hf_responses(models, inputs, task.shape, task.ends)
            texts = models.tokenizer.batch_decode(responses, skip_special_tokens=True)
            for place, text in enumerate(texts):
                score(task.scorers, text, task.prompts.problems[batch[place // task.shape.n]])
            lengths += [len(response) for response in responses]
        return SampleCount(len(lengths), sum(lengths))

    return sample


def samples_ratio(calls: Mapping[str, Sequence[TimedCall]]) -> list[float]:
    """Ours to the library's samples a second, pair by pair."""
    pairs = zip(calls["ours"], calls["generate"], strict=True)
    return [one.samples / one.seconds / (other.samples / other.seconds) for one, other in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", nargs="+", choices=["forced", "free"], default=["forced", "free"])
    parser.add_argument(
        "--shape", nargs="+", choices=sorted(SAMPLING_SHAPES), default=["geometry3k", "short"]
    )
    parser.add_argument("--model", help="a model directory; random weights if not given")
    parser.add_argument("--random", default="2m", help="shape of the random weights (see random_model.py)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slots", type=int, help="of our pool")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/passk.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    gpu = torch.cuda.is_available()
    record = {"machine": {**machine_info(), "transformers": transformers.__version__}, "cases": {}}
    with model_directory(arguments.model, arguments.random) as path:
        models = Models(path, torch.device("cuda" if gpu else "cpu"), "bf16" if gpu else "fp32")
        for name in arguments.shape:
            shape = replace(SAMPLING_SHAPES[name], prompts=PROMPTS)
            for case in arguments.case:
                task = task_of(models, shape, forced=case == "forced")
                sides = {
                    "ours": our_sampler(models, task, arguments.slots),
                    "generate": hf_sampler(models, task),
                }
                calls = call_alternately(sides, arguments.rounds, models.device)
                ratios = samples_ratio(calls)
                print_calls(f"{case}, {name}", calls)
                print(
                    f"samples/s, ours / generate: {median(ratios):.2f} "
                    f"({min(ratios):.2f} to {max(ratios):.2f} pair by pair)"
                )
                rows = {side: [asdict(turn) for turn in taken] for side, taken in calls.items()}
                record["cases"][f"{case}, {name}"] = {
                    "shape": asdict(shape),
                    "turns": rows,
                    "ratios": ratios,
                }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {arguments.out}")


if __name__ == "__main__":
    main()
