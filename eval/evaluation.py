"""An evaluation from arguments to results: reads, samples what is missing, scores, and writes."""

from __future__ import annotations

import argparse
import dataclasses
import platform
import time
from importlib.metadata import version
from typing import Any

import torch

from eval.arguments import settings_of
from eval.fingerprint import model_fingerprint
from eval.outcome import write_outcome
from eval.samples import Sample
from eval.scorers import score, scorers_for
from eval.store import Identity, SampleStore, append
from vlm_uec.data.dataset import data_fingerprint, load_problems
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.data.prompts import prepare_prompts
from vlm_uec.distributed import gather_lists, gather_objects, on_first_rank, rank, world_size
from vlm_uec.errors import UserError
from vlm_uec.evaluate import Answer, sample_answers
from vlm_uec.policy.forward import Policy
from vlm_uec.policy.load import banned_ids, end_ids, load_model, read_model_config
from vlm_uec.rollout.engine import RolloutEngine, Sampling
from vlm_uec.rollout.native import NativeEngine
from vlm_uec.telemetry.display import Display
from vlm_uec.writable import writing_to

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
        )
        problems = loaded.problems[: arguments.problems]
        self.prompts = prepare_prompts(problems, self.encoder)
        self.problems = self.prompts.problems
        self.left_out = loaded.rejected + self.prompts.rejected
        self.fingerprint = data_fingerprint(problems)
        self.scorers = scorers_for(self.problems.values(), self.encoder.format_prompt, arguments.reward)
        self.store = SampleStore(arguments.out)
        self.engine: RolloutEngine | None = None
        self._check_budget()

    def _check_budget(self) -> None:
        budget = self.encoder.image_processor.size
        low, high = budget["shortest_edge"], budget["longest_edge"]
        if low > high:  # of the two that the command line and the model give together
            raise UserError(f"--min-pixels {low} is above --max-pixels {high}: give both")

    def execute(self) -> None:
        """Samples what the folder lacks; rank 0 writes and prints the results."""
        for reason, count in self.left_out.items():
            self.display.line(f"{self.settings.split}: left out {count} ({reason})")
        about = gather_objects(self._about() if rank() == 0 else {})[0]
        on_first_rank(lambda: self.store.check(_identity(about)))
        known, wanted = self._dealt()
        gather_lists(lambda: self._load(needed=bool(wanted)))
        on_first_rank(lambda: self.store.begin(_identity(about)))
        together = gather_lists(lambda: [*known, *self._sample(wanted)])
        place = {name: number for number, name in enumerate(self.problems)}
        samples = sorted(together, key=lambda sample: (place[sample.problem_id], sample.index))
        on_first_rank(lambda: self._finish(about, samples))

    def _about(self) -> dict[str, dict[str, Any]]:
        """What the samples are of: everything that could change them, and where it came from."""
        budget = self.encoder.image_processor.size
        resolved = {
            "min_pixels": budget["shortest_edge"],
            "max_pixels": budget["longest_edge"],
            "template": self.encoder.format_prompt.source,
            "precision": self._precision(),
        }
        packages = {name: version(name) for name in ("torch", "transformers", "vlm-uec")}
        return {
            "settings": {**dataclasses.asdict(self.settings), **resolved},
            "model": {
                "path": self.arguments.model,
                "fingerprint": model_fingerprint(self.arguments.model, self.config),
            },
            "data": {
                "path": self.arguments.data,
                "split": self.settings.split,
                "fingerprint": self.fingerprint,
                "left_out": dict(self.left_out),
            },
            "versions": {"python": platform.python_version(), **packages},
        }

    def _precision(self) -> str:
        return self.settings.precision or ("bf16" if torch.cuda.is_available() else "fp32")

    def _dealt(self) -> tuple[list[Sample], Wanted]:
        """The samples this rank answers for because it found them, and the ones it has to draw."""
        known = self.store.known()
        owner: dict[tuple[str, int], int] = {}
        for number, keys in enumerate(gather_objects(list(known))):
            owner |= {key: number for key in keys if key not in owner}
        mine = list(self.problems)[rank() :: world_size()]
        wanted = {
            name: missing
            for name in mine
            if (missing := [index for index in range(self.settings.n) if (name, index) not in owner])
        }
        if owner:
            self.display.line(f"found {len(owner)} of {len(self.problems) * self.settings.n} responses")
        return [self._scored(sample) for key, sample in known.items() if owner[key] == rank()], wanted

    def _scored(self, answer: Answer | Sample) -> Sample:
        """Also of what an earlier run scored: verdicts are those of the code that writes the summary."""
        scores = score(self.scorers, answer.text, self.problems[answer.problem_id])
        return Sample(answer.problem_id, answer.index, answer.text, answer.tokens, answer.truncated, scores)

    def _sample(self, wanted: Wanted) -> list[Sample]:
        """Draws, scores and keeps, one response at a time."""
        samples: list[Sample] = []
        if self.engine is None:
            return samples
        started = time.monotonic()
        self.display.doing(f"{len(wanted)} problems x {self.settings.n}")
        settings = self.settings
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
                samples.append(self._scored(answer))
                append(part, samples[-1])
        seconds = time.monotonic() - started
        self.display.line(
            f"{len(samples)} responses in {seconds:.1f} s, {len(samples) / seconds:.1f}/s"
            + (f" on each of {world_size()} ranks" if world_size() > 1 else "")
        )
        return samples

    def _load(self, *, needed: bool) -> list[None]:
        """The engine, where this rank has something to sample; nothing to gather but what goes wrong."""
        if not needed:
            return []
        self.display.doing("loading the model")
        model = load_model(self.arguments.model, self._precision(), checkpointing=False)
        banned = banned_ids(model.model.language_model.vocab_size, self.encoder.tokenizer)
        # Each prompt is read once: nothing to gain from a frozen tower's cache.
        policy = Policy(model, banned, freeze_vision=False)
        if torch.cuda.is_available():
            policy.to(torch.device("cuda", torch.cuda.current_device()))
        ends = end_ids(self.arguments.model, self.encoder.tokenizer)
        self.engine = NativeEngine(policy, ends, self.settings.slots)
        return []

    def _finish(self, about: dict[str, Any], samples: list[Sample]) -> None:
        out, shown = self.store.out, self.encoder.format_prompt
        about["settings"]["k"] = self.arguments.k
        with writing_to(out, "--out", "--resume"):
            self.store.finish(samples)
            told = write_outcome(out, about, self.problems, samples, shown)
        self.display.line(told)


def _identity(about: dict[str, dict[str, Any]]) -> Identity:
    """Of these, what a resumed evaluation must have in common: paths may change, and scoring is done anew."""
    return {
        part: {name: value for name, value in values.items() if name not in ("path", "reward")}
        for part, values in about.items()
    }
