"""What is known of the training problems before a run: how many, and how long their prompts are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlm_uec.config import Config
from vlm_uec.data.encode import PromptEncoder, PromptRejected
from vlm_uec.data.mixture import load_mixture
from vlm_uec.data.schedule import Part, Schedule, shares
from vlm_uec.errors import UserError
from vlm_uec.forecast.tokens import PromptLengths
from vlm_uec.types import Problem

MEASURED = 256  # prompts, spread over the training split


@dataclass(frozen=True)
class DataForecast:
    """The data sets' parts in a step, prompt lengths, and in words what was left out or not found."""

    parts: tuple[Part, ...]  # none where the data is not on this machine
    lengths: PromptLengths
    notes: tuple[str, ...]


def data_forecast(config: Config) -> DataForecast:
    """Raises `UserError` for data that is here and that the run would refuse."""
    data = config.data
    limit = PromptLengths(data.max_prompt_tokens, data.max_prompt_tokens)
    if absent := [path for path in data.weights if not Path(path).exists()]:
        note = f"{absent[0]} is not on this machine: prompts are counted at data.max_prompt_tokens"
        return DataForecast((), limit, (note,))
    loaded = load_mixture(list(data.weights), data.train_split)
    notes = [f"left out {count} ({reason})" for reason, count in loaded.rejected.items()]
    parts = [
        Part(path if len(data.weights) > 1 else "", loaded.ids[path], count)
        for path, count in shares(data.weights, config.rollout.prompts).items()
    ]
    Schedule(parts, config.train.seed)  # asked for its refusals
    if config.train.eval_every:
        load_mixture([data.validation_path or str(data.path)], data.validation_split)
    encoder = _encoder(config)
    if encoder is None:
        notes.append("no tokenizer on this machine: prompts are counted at data.max_prompt_tokens")
        return DataForecast(tuple(parts), limit, tuple(notes))
    lengths, rejected = _measure(loaded.problems, encoder)
    told = [f"{reason}: {count}" for reason, count in rejected.items()]
    if not lengths:
        raise UserError(
            f"no usable prompt among {rejected.total()} measured ({', '.join(told)}): mend the data or "
            "prompt.template, or raise data.max_prompt_tokens"
        )
    notes += [f"of the measured prompts left out: {reason}" for reason in told]
    return DataForecast(tuple(parts), PromptLengths.of(lengths), tuple(notes))


def _encoder(config: Config) -> PromptEncoder | None:
    try:
        return PromptEncoder.from_pretrained(
            config.model.path,
            template=config.prompt.template,
            min_pixels=config.data.min_pixels,
            max_pixels=config.data.max_pixels,
            max_prompt_tokens=config.data.max_prompt_tokens,
        )
    except OSError:  # a Hub id that this machine has never fetched
        return None


def _measure(problems: Sequence[Problem], encoder: PromptEncoder) -> tuple[list[int], Counter[str]]:
    lengths: list[int] = []
    rejected: Counter[str] = Counter()
    for problem in problems[:: max(1, len(problems) // MEASURED)]:
        try:
            lengths.append(encoder.length(problem))
        except PromptRejected as error:
            rejected[str(error)] += 1
    return lengths, rejected
