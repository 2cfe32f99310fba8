"""An evaluation: loads the data, samples missing responses, scores them, and writes the results."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

import torch

from eval.arguments import settings_of
from eval.provenance import read_preparation
from eval.results import write_results
from eval.samples import Sample
from eval.scorers import make_scorers, score_response, scorer_fingerprints
from eval.store import Identity, SampleStore, append_sample
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
from vlm_uec.model.positions_limit import check_positions
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
from vlm_uec.verifier import Strictness

PACKAGES = ("torch", "transformers", "tokenizers", "pillow", "numpy", "vlm-uec")
# Settings that may change on resume. Paths do not affect contents, scoring is always repeated, samples do not
# depend on slots, and the data fingerprint identifies the problems, whatever the wording of rejections.
CHANGEABLE = (
    *("path", "prepared", "left_out", "slots", "problems"),
    *("reward", "reward_fingerprint", "mathruler", "mathruler_fingerprint", "thinking", "statements"),
)

IndicesByProblem = dict[str, list[int]]  # sample indices by problem id


class Evaluation:
    """An evaluation on one rank. The constructor loads everything except the model."""

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
            cache_bytes=0,  # each prompt is encoded once
        )
        self._check_budget()
        problems = loaded.problems[: arguments.problems]
        self.prompts = prepare_prompts(problems, self.encoder)
        self.problems = self.prompts.problems
        self._check_positions()
        self.left_out = dict(loaded.rejected + self.prompts.rejected)
        if rest := len(loaded.problems) - len(problems):
            self.left_out[f"beyond the first {len(problems)}"] = rest
        self.fingerprint = data_fingerprint(problems)
        full_fingerprint = data_fingerprint(loaded.problems) if rest else self.fingerprint
        self.preparation = read_preparation(arguments.data, arguments.split, full_fingerprint)
        self.scorers = make_scorers(
            self.problems.values(),
            self.encoder.format_prompt,
            arguments.reward,
            mathruler=arguments.mathruler,
            strictness=Strictness(arguments.thinking, arguments.statements),
        )
        self.store = SampleStore(arguments.out)
        self.engine: RolloutEngine | None = None

    def _check_budget(self) -> None:
        budget = self.encoder.image_processor.size
        low, high = budget["shortest_edge"], budget["longest_edge"]
        if low > high:  # one from the command line, the other from the model
            raise UserError(f"--min-pixels {low} is above --max-pixels {high}: give both")

    def _check_positions(self) -> None:
        limit = self.config.get_text_config().max_position_embeddings
        longest = max(self.prompts.tokens.values())
        check_positions(limit, longest, self.arguments.max_tokens, ("the longest prompt's", "--max-tokens"))

    def execute(self) -> None:
        """Samples the missing responses; rank 0 writes and prints the results."""
        (metadata,) = gather_lists(lambda: [self._metadata()] if rank() == 0 else [])
        on_first_rank(lambda: self.store.check(_identity(metadata)))
        stored, missing = self._assign()
        on_all_ranks(lambda: self._load() if missing else None)
        on_first_rank(lambda: self.store.begin(_identity(metadata)))
        started = time.monotonic()
        new = gather_lists(lambda: self._sample(missing))
        if new:
            self._log_speed(len(new), time.monotonic() - started)
        mine = [*stored, *new][rank() :: world_size()]
        samples = gather_lists(lambda: [self._rescore(sample) for sample in mine])
        position = {name: number for number, name in enumerate(self.problems)}
        samples.sort(key=lambda sample: (position[sample.problem_id], sample.index))
        on_first_rank(lambda: self._finish(metadata, samples))

    def _metadata(self) -> dict[str, dict[str, Any]]:
        """Everything that affects the samples, and its origin: settings, model, data and versions."""
        budget = self.encoder.image_processor.size
        resolved = {
            "min_pixels": budget["shortest_edge"],
            "max_pixels": budget["longest_edge"],
            "template": self.encoder.format_prompt.source,
            "precision": self._precision(),
            **scorer_fingerprints(self.settings.reward, self.settings.mathruler),
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
                "prepared": self.preparation,
            },
            "versions": {**packages, "device": "cuda" if torch.cuda.is_available() else "cpu"},
        }

    def _precision(self) -> str:
        return self.settings.precision or ("bf16" if torch.cuda.is_available() else "fp32")

    def _assign(self) -> tuple[list[Sample], IndicesByProblem]:
        """The stored responses (the same on every rank), and the indices that this rank has to sample."""
        n = self.settings.n
        is_reader = rank() == local_ranks()[0]  # one rank per machine, as machines may not share a disk
        found = gather_lists(lambda: self.store.load_samples() if is_reader else [])
        stored = {sample.key: sample for sample in found}
        if unexpected := [name for name, index in stored if name not in self.problems or index >= n]:
            raise UserError(
                f"--resume {self.store.out}: problem {escape(unexpected[0])} has a response "
                "that was not requested"
            )
        if stored:
            self.display.line(f"found {len(stored)} of {len(self.problems) * n} responses")
        missing = {name: [i for i in range(n) if (name, i) not in stored] for name in self.problems}
        # Only unfinished problems are distributed, so that the load is balanced after a kill, too.
        mine = [name for name, indices in missing.items() if indices][rank() :: world_size()]
        return list(stored.values()), {name: missing[name] for name in mine}

    def _sample(self, missing: IndicesByProblem) -> list[Sample]:
        """Samples, and stores each response when it ends. A later scoring error loses no response."""
        samples: list[Sample] = []
        if self.engine is None:
            return samples
        settings = self.settings
        share = f" (rank 0's share of {world_size()})" if world_size() > 1 else ""
        self.display.start_phase(f"sampling{share}")
        answers = sample_answers(
            self.engine,
            self.prompts,
            self.encoder.response_text,
            missing,
            n=settings.n,
            sampling=Sampling(settings.temperature, settings.top_p, settings.max_tokens),
            seed=settings.seed,
            on_progress=self.display.progress,
        )
        with self.store.open_part(rank()) as part:
            for answer in answers:
                samples.append(Sample(**vars(answer), scores={}))
                append_sample(part, samples[-1])
        return samples

    def _log_speed(self, responses: int, seconds: float) -> None:
        ranks = f" on {world_size()} ranks" if world_size() > 1 else ""
        self.display.line(f"{responses} responses in {seconds:.1f} s, {responses / seconds:.1f}/s{ranks}")

    def _rescore(self, sample: Sample) -> Sample:
        """Scores a sample, also one that has scores: verdicts and summary must come from the same code."""
        return replace(
            sample, scores=score_response(self.scorers, sample.text, self.problems[sample.problem_id])
        )

    def _load(self) -> None:
        self.display.start_phase("loading the model")
        model = load_model(self.arguments.model, self._precision(), checkpointing=False)
        banned = banned_ids(text_model(model).vocab_size, self.encoder.tokenizer)
        # Each prompt is encoded once, so a feature cache of the vision tower would not help.
        policy = Policy(model, banned)
        if torch.cuda.is_available():
            policy.to(torch.device("cuda", torch.cuda.current_device()))
        ends = end_ids(self.arguments.model, self.encoder.tokenizer)
        self.engine = NativeEngine(policy, ends, self.settings.slots)

    def _finish(self, metadata: dict[str, Any], samples: list[Sample]) -> None:
        out, prompt_text = self.store.out, self.encoder.format_prompt
        metadata["settings"]["k"] = self.arguments.k
        with translate_write_errors(out, "--out", "--resume"):
            self.store.finish(samples)
            report = write_results(out, metadata, self.problems, samples, prompt_text)
        self.display.line(report)


def _identity(metadata: dict[str, dict[str, Any]]) -> Identity:
    """The metadata that must not change on resume."""
    return {
        part: {name: value for name, value in values.items() if name not in CHANGEABLE}
        for part, values in metadata.items()
    }
