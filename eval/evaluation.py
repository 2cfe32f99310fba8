"""An evaluation from arguments to results: reads, samples what is missing, scores, and writes."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

import torch

from eval.arguments import settings_of
from eval.outcome import write_outcome
from eval.provenance import prepared
from eval.samples import Sample
from eval.scorers import reward_fingerprint, score, scorers_for
from eval.store import Identity, SampleStore, append
from vlm_uec.answers import sample_answers
from vlm_uec.data.dataset import data_fingerprint, load_problems
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.data.prompts import prepare_prompts
from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.hub import model_fingerprint
from vlm_uec.io.disk_space import translate_write_errors
from vlm_uec.model.load import banned_ids, end_ids, load_model, read_model_config, text_model
from vlm_uec.model.policy import Policy
from vlm_uec.ranks.collectives import (
    gather_lists,
    local_ranks,
    on_all_ranks,
    on_first_rank,
    rank,
    world_size,
)
from vlm_uec.rollout.engine import RolloutEngine, Sampling
from vlm_uec.rollout.native import NativeEngine
from vlm_uec.telemetry.display import Display

PACKAGES = ("torch", "transformers", "tokenizers", "pillow", "numpy", "vlm-uec")
# Moved files are what they were, scoring is done anew, keys know nothing of slots, and the data's fingerprint
# says which problems there are.
MAY_CHANGE = ("path", "prepared", "reward", "reward_fingerprint", "slots", "problems")

Wanted = dict[str, list[int]]  # sample indices by problem id


class Evaluation:
    """Everything an evaluation holds on one rank, before the model loads."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.settings = settings_of(arguments)
        self.display = Display(active=rank() == 0)
        self.config = read_model_config(arguments.model)
        loaded = load_problems(arguments.data, arguments.split)
        self.encoder = PromptEncoder.from_pretrained(
            arguments.model,
            template=arguments.template,
            min_pixels=arguments.min_pixels,
            max_pixels=arguments.max_pixels,
            max_prompt_tokens=arguments.max_prompt_tokens,
            cache_bytes=0,  # each prompt is read once
        )
        self._check_budget()
        problems = loaded.problems[: arguments.problems]
        self.prompts = prepare_prompts(problems, self.encoder)
        self.problems = self.prompts.problems
        self.left_out = dict(loaded.rejected + self.prompts.rejected)
        if rest := len(loaded.problems) - len(problems):
            self.left_out[f"beyond the first {len(problems)}"] = rest
        self.fingerprint = data_fingerprint(problems)
        whole = data_fingerprint(loaded.problems) if rest else self.fingerprint
        self.prepared = prepared(arguments.data, arguments.split, whole)
        self.scorers = scorers_for(self.problems.values(), self.encoder.format_prompt, arguments.reward)
        self.store = SampleStore(arguments.out)
        self.engine: RolloutEngine | None = None

    def _check_budget(self) -> None:
        budget = self.encoder.image_processor.size
        low, high = budget["shortest_edge"], budget["longest_edge"]
        if low > high:  # of the two that the command line and the model give together
            raise UserError(f"--min-pixels {low} is above --max-pixels {high}: give both")

    def execute(self) -> None:
        """Samples what the folder lacks; rank 0 writes and prints the results."""
        (about,) = gather_lists(lambda: [self._about()] if rank() == 0 else [])
        on_first_rank(lambda: self.store.check(_identity(about)))
        known, wanted = self._dealt()
        on_all_ranks(lambda: self._load() if wanted else None)
        on_first_rank(lambda: self.store.begin(_identity(about)))
        started = time.monotonic()
        drawn = gather_lists(lambda: self._sample(wanted))
        if drawn:
            self._tell_speed(len(drawn), time.monotonic() - started)
        mine = [*known, *drawn][rank() :: world_size()]
        samples = gather_lists(lambda: [self._scored(sample) for sample in mine])
        place = {name: number for number, name in enumerate(self.problems)}
        samples.sort(key=lambda sample: (place[sample.problem_id], sample.index))
        on_first_rank(lambda: self._finish(about, samples))

    def _about(self) -> dict[str, dict[str, Any]]:
        """What the samples are of: everything that could change them, and where it came from."""
        budget = self.encoder.image_processor.size
        resolved = {
            "min_pixels": budget["shortest_edge"],
            "max_pixels": budget["longest_edge"],
            "template": self.encoder.format_prompt.source,
            "precision": self._precision(),
            "reward_fingerprint": reward_fingerprint(self.settings.reward),
        }
        packages = {name: version(name) for name in PACKAGES}
        return {
            "settings": {**asdict(self.settings), **resolved},
            "model": {
                "path": self.arguments.model,
                "fingerprint": model_fingerprint(self.arguments.model, self.config, "--model"),
            },
            "data": {
                "path": self.arguments.data,
                "split": self.settings.split,
                "fingerprint": self.fingerprint,
                "left_out": self.left_out,
                "prepared": self.prepared,
            },
            "versions": {**packages, "device": "cuda" if torch.cuda.is_available() else "cpu"},
        }

    def _precision(self) -> str:
        return self.settings.precision or ("bf16" if torch.cuda.is_available() else "fp32")

    def _dealt(self) -> tuple[list[Sample], Wanted]:
        """What earlier runs left, on every rank alike, and what this rank has to draw."""
        n = self.settings.n
        reads = rank() == local_ranks()[0]  # one rank a machine: they may share no disk
        found = gather_lists(lambda: self.store.known() if reads else [])
        left = {sample.key: sample for sample in found}
        if strange := [name for name, index in left if name not in self.problems or index >= n]:
            raise UserError(
                f"--resume {self.store.out}: problem {escape(strange[0])} has a response too many"
            )
        if left:
            self.display.line(f"found {len(left)} of {len(self.problems) * n} responses")
        missing = {name: [i for i in range(n) if (name, i) not in left] for name in self.problems}
        # Of those with something to draw, so that ranks have alike much to do after a kill as well.
        mine = [name for name, indices in missing.items() if indices][rank() :: world_size()]
        return list(left.values()), {name: missing[name] for name in mine}

    def _sample(self, wanted: Wanted) -> list[Sample]:
        """Draws, and keeps each response as it ends; scoring waits, so that a scorer's fault costs none."""
        samples: list[Sample] = []
        if self.engine is None:
            return samples
        settings = self.settings
        share = f" (rank 0's share of {world_size()})" if world_size() > 1 else ""
        self.display.start_phase(f"sampling{share}")
        answers = sample_answers(
            self.engine,
            self.prompts,
            self.encoder.tokenizer,
            wanted,
            n=settings.n,
            sampling=Sampling(settings.temperature, settings.top_p, settings.max_tokens),
            seed=settings.seed,
            on_progress=self.display.progress,
        )
        with self.store.appending(rank()) as part:
            for answer in answers:
                samples.append(Sample(**vars(answer), scores={}))
                append(part, samples[-1])
        return samples

    def _tell_speed(self, responses: int, seconds: float) -> None:
        ranks = f" on {world_size()} ranks" if world_size() > 1 else ""
        self.display.line(f"{responses} responses in {seconds:.1f} s, {responses / seconds:.1f}/s{ranks}")

    def _scored(self, sample: Sample) -> Sample:
        """Also what an earlier run scored: verdicts are those of the code that writes the summary."""
        return replace(sample, scores=score(self.scorers, sample.text, self.problems[sample.problem_id]))

    def _load(self) -> None:
        self.display.start_phase("loading the model")
        model = load_model(self.arguments.model, self._precision(), checkpointing=False)
        banned = banned_ids(text_model(model).vocab_size, self.encoder.tokenizer)
        # Each prompt is read once: nothing to gain from a frozen tower's cache.
        policy = Policy(model, banned)
        if torch.cuda.is_available():
            policy.to(torch.device("cuda", torch.cuda.current_device()))
        ends = end_ids(self.arguments.model, self.encoder.tokenizer)
        self.engine = NativeEngine(policy, ends, self.settings.slots)

    def _finish(self, about: dict[str, Any], samples: list[Sample]) -> None:
        out, shown = self.store.out, self.encoder.format_prompt
        about["settings"]["k"] = self.arguments.k
        with translate_write_errors(out, "--out", "--resume"):
            self.store.finish(samples)
            told = write_outcome(out, about, self.problems, samples, shown)
        self.display.line(told)


def _identity(about: dict[str, dict[str, Any]]) -> Identity:
    """Of these, what a resumed evaluation must have in common."""
    return {
        part: {name: value for name, value in values.items() if name not in MAY_CHANGE}
        for part, values in about.items()
    }
