"""What the sampling benchmarks share: shapes, models, problems, and calls of Hugging Face `generate`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from torch.nn.functional import pad
from transformers import Qwen2_5_VLForConditionalGeneration

from vlm_uec.model.load import DTYPES, banned_ids, load_model
from vlm_uec.model.policy import Policy
from vlm_uec.rollout.engine import Progress
from vlm_uec.types import EncodedPrompt, Problem

SEED = 1


@dataclass(frozen=True)
class SamplingShape:
    """Size of the pictures and of the responses."""

    pixels: int  # side of the square picture
    max_tokens: int
    prompts: int = 8
    n: int = 16
    top_p: float = 1.0


SAMPLING_SHAPES = {
    "short": SamplingShape(84, 64),
    "geometry3k": SamplingShape(392, 128),
    "gpu": SamplingShape(532, 256, prompts=32),  # 256 rows at 8 samples per prompt
}


@dataclass(frozen=True)
class Models:
    """One checkpoint, loaded twice, because this project's policy changes the modules of its model."""

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
        # Not frozen: the features of a frozen tower would be cached between rounds.
        model = load_model(self.path, self.precision, checkpointing=False)
        return Policy(model, self.banned).to(self.device)

    @cached_property
    def hf_model(self) -> Any:
        dtype = DTYPES[self.precision]
        model: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(self.path, dtype=dtype)
        return model.to(self.device).eval()


def noise_problems(shape: SamplingShape) -> Iterator[Problem]:
    """Problems with a picture of noise each."""
    rng = np.random.default_rng(SEED)
    for number in range(shape.prompts):
        file = BytesIO()
        pixels = rng.integers(0, 256, (shape.pixels, shape.pixels, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file, format="PNG")
        yield Problem(str(number), "<image>What is the value of x?", "1", images=(file.getvalue(),))


def hf_inputs(prompts: Sequence[EncodedPrompt], models: Models) -> dict[str, torch.Tensor]:
    """The inputs that the library's processor, which needs torchvision, would make of the prompts."""
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
    """End ids, drawn from the allowed ones: if all ids are equally likely, responses have a third of the
    maximal length on average. This holds for random weights; a trained model has other lengths."""
    allowed = torch.nonzero(~banned).flatten()

    def distance(count: int) -> float:
        probability = count / len(allowed)
        return abs((1 - (1 - probability) ** max_tokens) / probability - max_tokens / 3)

    count = min(range(1, len(allowed)), key=distance)
    order = torch.randperm(len(allowed), generator=torch.Generator().manual_seed(SEED))
    return sorted(allowed[order[:count]].tolist())


def ignore_progress(_: Progress) -> None:
    """A callback that shows no progress."""


def hf_responses(
    models: Models, inputs: Mapping[str, torch.Tensor], shape: SamplingShape, ends: Sequence[int]
) -> list[torch.Tensor]:
    """Responses of `generate`, up to and including the end token; banned ids are suppressed. An empty `ends`
    forces the maximal length."""
    settings: dict[str, Any] = {
        "do_sample": True,
        "temperature": 1.0,
        "top_k": 0,
        "top_p": shape.top_p,
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
