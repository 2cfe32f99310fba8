"""The training problems of a run: their number, and the lengths of a sample of prompts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlm_uec.config import Config
from vlm_uec.data.encode import PromptEncoder, PromptRejected
from vlm_uec.data.mixture import LoadedMixture, load_mixture
from vlm_uec.data.picture_store import PictureStore
from vlm_uec.data.schedule import MixturePart, ProblemSchedule, mixture_parts
from vlm_uec.errors import UserError
from vlm_uec.forecast.tokens import PromptLengths
from vlm_uec.hub import exists_locally
from vlm_uec.types import Problem

MAX_MEASURED_PROMPTS = 256  # spread over the training split


@dataclass(frozen=True)
class DataForecast:
    """The data sets' parts in a step, prompt lengths, and notes on rejected or missing data."""

    parts: tuple[MixturePart, ...]  # empty if the data is not on this machine
    lengths: PromptLengths
    notes: tuple[str, ...]
    example: Problem | None = None


def data_forecast(config: Config) -> DataForecast:
    """Raises `UserError` for local data that the run would reject."""
    data = config.data
    limit = PromptLengths(data.max_prompt_tokens, data.max_prompt_tokens)
    if absent := [path for path in data.weights if not exists_locally(path)]:
        note = f"{absent[0]} is not on this machine: assumes prompts of data.max_prompt_tokens"
        return DataForecast((), limit, (note,))
    loaded = load_mixture(list(data.weights), data.train_split)
    parts = mixture_parts(loaded.ids, data.weights, config.rollout.prompts)
    ProblemSchedule(parts, config.train.seed)  # raises if the run would
    notes = [f"left out {count} ({reason})" for reason, count in loaded.rejected.items()]
    notes += _validation_notes(config)
    encoder = _encoder(config)
    if encoder is None:
        notes.append("no tokenizer on this machine: assumes prompts of data.max_prompt_tokens")
        return DataForecast(parts, limit, tuple(notes), loaded.problems[0])
    measured = [_measure(problems, encoder, len(parts)) for problems in _by_part(loaded, parts)]
    rejected = sum((reasons for _, reasons in measured), Counter[str]())
    notes += [f"left out {count} of the measured prompts ({reason})" for reason, count in rejected.items()]
    lengths = _weighted_lengths(parts, [sample for sample, _ in measured], rejected)
    return DataForecast(parts, lengths, tuple(notes), loaded.problems[0])


def _validation_notes(config: Config) -> list[str]:
    path = config.data.validation_path or config.data.path
    if not config.train.eval_every or path is None:
        return []
    if not exists_locally(path):
        return [f"data.validation_path {path} is not on this machine"]
    load_mixture([path], config.data.validation_split)  # raises if the run would
    return []


def _encoder(config: Config) -> PromptEncoder | None:
    try:
        encoder = PromptEncoder.from_config(config)
    except UserError:
        if exists_locally(config.model.path):
            raise
        return None  # a Hub id that is not in the local cache
    encoder.pictures = PictureStore(limit=0)  # each picture is read once
    return encoder


def _by_part(loaded: LoadedMixture, parts: Sequence[MixturePart]) -> list[list[Problem]]:
    problems: Mapping[str, Problem] = {problem.id: problem for problem in loaded.problems}
    return [[problems[name] for name in part.ids] for part in parts]


def _measure(
    problems: Sequence[Problem], encoder: PromptEncoder, parts: int
) -> tuple[list[int], Counter[str]]:
    lengths: list[int] = []
    rejected: Counter[str] = Counter()
    for problem in problems[:: max(1, len(problems) * parts // MAX_MEASURED_PROMPTS)]:
        try:
            lengths.append(encoder.length(problem))
        except PromptRejected as error:
            rejected[str(error)] += 1
    return lengths, rejected


def _weighted_lengths(
    parts: Sequence[MixturePart], measured: Sequence[Sequence[int]], rejected: Counter[str]
) -> PromptLengths:
    """The mean over a step's prompts: data sets are weighted by their prompts per step, not by size."""
    if not all(measured):
        reasons = ", ".join(f"{reason}: {count}" for reason, count in rejected.items())
        raise UserError(
            f"no usable prompt among {rejected.total()} measured ({reasons}): fix the data or "
            "prompt.template, or raise data.max_prompt_tokens"
        )
    means = [sum(lengths) / len(lengths) for lengths in measured]
    prompts = sum(part.prompts for part in parts)
    mean = sum(part.prompts * value for part, value in zip(parts, means, strict=True)) / prompts
    return PromptLengths(mean, max(map(max, measured)), sum(map(len, measured)))
