"""Sampling with this project's policy and with Hugging Face's generate: shapes, models and inputs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import transformers
from torch.nn.functional import pad
from transformers import Qwen2_5_VLForConditionalGeneration

from vlm_uec.model.load import DTYPES, banned_ids, load_model
from vlm_uec.model.policy import Policy
from vlm_uec.rollout.engine import Progress
from vlm_uec.types import EncodedPrompt

SEED = 1


@dataclass(frozen=True)
class SamplingShape:
    """A picture and a length."""

    pixels: int  # side of the square picture
    max_tokens: int
    prompts: int = 8
    n: int = 16


SAMPLING_SHAPES = {
    "short": SamplingShape(84, 64),
    "geometry3k": SamplingShape(392, 128),
    "gpu": SamplingShape(532, 256, prompts=32),  # 256 rows at 8 samples a prompt
}


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
    def hf_model(self) -> Any:
        dtype = DTYPES[self.precision]
        model: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(self.path, dtype=dtype)
        return model.to(self.device).eval()


def hf_inputs(prompts: Sequence[EncodedPrompt], models: Models) -> dict[str, torch.Tensor]:
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


def end_ids_for_a_third(banned: torch.Tensor, max_tokens: int) -> list[int]:
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


def ignore_progress(_: Progress) -> None:
    """Nobody watches."""


def hf_responses(
    models: Models, inputs: Mapping[str, torch.Tensor], shape: SamplingShape, ends: Sequence[int]
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
    tokens = models.hf_model.generate(**inputs, **settings)[:, inputs["input_ids"].shape[1] :]
    ended = torch.isin(tokens, torch.tensor(ends, dtype=torch.int64, device=models.device)).int()
    lengths = (ended.cumsum(dim=1) - ended == 0).sum(dim=1)
    return [row[:length] for row, length in zip(tokens, lengths.tolist(), strict=True)]


@contextmanager
def model_directory(given: str | None, shape: str) -> Iterator[str]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "benchmarks/speed/random_model.py", "--shape", shape, "--out", directory]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        yield directory
