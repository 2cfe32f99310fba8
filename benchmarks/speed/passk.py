"""Samples per second of the evaluator and of Hugging Face `generate(num_return_sequences=n)`.

    OMP_NUM_THREADS=1 python benchmarks/speed/passk.py                               # both cases, both shapes
    OMP_NUM_THREADS=1 python benchmarks/speed/passk.py --case free --shape geometry3k
    python benchmarks/speed/passk.py --model DIR --shape gpu  # one GPU, a model directory

forced: every response has the maximal length. free: responses end at random, with a third of the maximal
length on average. Each side turns problems into scored samples: ours with `sample_answers`, as eval/passk.py
calls it, appending every sample to a file; the other encodes the same prompts, generates for 8 of them at a
time, decodes and scores. Both have the same weights, problems, precision and allowed ids, run in one process
and take turns.

Prints medians and the pair-by-pair ratios of samples per second; writes JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import torch
import transformers

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.machine import machine_info
from benchmarks.lib.speed.sampling import (
    SAMPLING_SHAPES,
    Models,
    SamplingShape,
    end_ids_for_a_third,
    hf_inputs,
    hf_responses,
    ignore_progress,
    model_directory,
    noise_problems,
)
from benchmarks.lib.speed.timed_calls import SampleCount, Sampler, TimedCall, call_alternately, print_calls
from eval.samples import Sample
from eval.scorers import Scorer, make_scorers, score_response
from eval.store import SampleStore, append_sample
from vlm_uec.answers import sample_answers
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.data.prompts import PromptSet, prepare_prompts
from vlm_uec.rollout.engine import Sampling
from vlm_uec.rollout.native import NativeEngine

PROMPTS, BATCH = 24, 8


@dataclass(frozen=True)
class Task:
    """The problems, scorers and lengths of both sides."""

    shape: SamplingShape
    prompts: PromptSet
    scorers: Mapping[str, Scorer]
    ends: Sequence[int]  # ids that end a response; empty: the maximal length is forced


def make_task(models: Models, shape: SamplingShape, *, forced: bool) -> Task:
    encoder = PromptEncoder.from_pretrained(
        models.path, min_pixels=shape.pixels**2, max_pixels=shape.pixels**2, max_prompt_tokens=4096
    )
    problems = list(noise_problems(shape))
    ends = [] if forced else end_ids_for_a_third(models.banned, shape.max_tokens)
    return Task(shape, prepare_prompts(problems, encoder), make_scorers(problems, None, None), ends)


def our_sampler(models: Models, task: Task, slots: int | None) -> Sampler:
    engine = NativeEngine(models.policy, frozenset(task.ends), slots)
    shape, problems = task.shape, task.prompts.problems

    def sample(number: int) -> SampleCount:
        samples: list[Sample] = []
        with tempfile.TemporaryDirectory() as folder, SampleStore(Path(folder)).open_part(0) as part:
            for answer in sample_answers(
                engine,
                task.prompts,
                task.prompts.encoder.response_text,
                dict.fromkeys(problems, range(shape.n)),
                n=shape.n,
                sampling=Sampling(1.0, 1.0, shape.max_tokens),
                seed=number,
                on_progress=ignore_progress,
            ):
                samples.append(Sample(**vars(answer), scores={}))
                append_sample(part, samples[-1])
        for one in samples:
            score_response(task.scorers, one.text, problems[one.problem_id])
        return SampleCount(len(samples), sum(one.tokens or 0 for one in samples))

    return sample


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
            for index, text in enumerate(texts):
                score_response(task.scorers, text, task.prompts.problems[batch[index // task.shape.n]])
            lengths += [len(response) for response in responses]
        return SampleCount(len(lengths), sum(lengths))

    return sample


def samples_per_second_ratios(calls: Mapping[str, Sequence[TimedCall]]) -> list[float]:
    """Samples per second, ours / generate, pair by pair."""
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
                task = make_task(models, shape, forced=case == "forced")
                sides = {
                    "ours": our_sampler(models, task, arguments.slots),
                    "generate": hf_sampler(models, task),
                }
                calls = call_alternately(sides, arguments.rounds, models.device)
                ratios = samples_per_second_ratios(calls)
                print_calls(f"{case}, {name}", calls)
                print(
                    f"samples/s, ours / generate: {median(ratios):.2f} "
                    f"({min(ratios):.2f} to {max(ratios):.2f} pair by pair)"
                )
                rows = {side: [asdict(call) for call in taken] for side, taken in calls.items()}
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
