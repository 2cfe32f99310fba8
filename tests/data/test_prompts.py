from __future__ import annotations

import tempfile
from collections import Counter
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import PreTrainedTokenizerBase
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from tests.support.fakes import run_on_ranks
from tests.support.tiny import encoded, noise_picture
from vlm_uec.data import picture_store, prompts
from vlm_uec.data.chat import FormatPrompt
from vlm_uec.data.decode import decode_image
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.data.prompts import PromptSet, prepare_prompts
from vlm_uec.errors import UserError
from vlm_uec.types import EncodedPrompt, Problem


def _problem(number: int, *, broken: bool = False) -> Problem:
    picture = encoded(noise_picture(56 + 7 * number, 56, seed=number))
    return Problem(f"p{number}", "<image>Find x.", "1", (picture[:60] if broken else picture,))


PROBLEMS = [_problem(0), _problem(1), _problem(2, broken=True), _problem(3), _problem(4), _problem(5)]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[bytes]:
    """All pictures decoded by any rank; pictures are cached in the test's folder."""
    pictures: list[bytes] = []

    def counting(data: bytes) -> Image.Image:
        pictures.append(data)
        return decode_image(data)

    monkeypatch.setattr("vlm_uec.data.encode.decode_image", counting)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return pictures


def _encoder(tokenizer: PreTrainedTokenizerBase, processor: Qwen2VLImageProcessorPil) -> PromptEncoder:
    # One tokenizer per rank: it is not thread-safe.
    own = deepcopy(tokenizer)
    return PromptEncoder(own, processor, FormatPrompt(), max_prompt_tokens=200, cache_bytes=0)


def test_two_ranks_together_decode_every_picture_once(
    tokenizer: PreTrainedTokenizerBase,
    image_processor: Qwen2VLImageProcessorPil,
    monkeypatch: pytest.MonkeyPatch,
    decoded: list[bytes],
    tmp_path: Path,
) -> None:
    def rank(_: int) -> tuple[PromptSet, list[EncodedPrompt]]:
        found = prepare_prompts(PROBLEMS, _encoder(tokenizer, image_processor))
        return found, [found.encode(name) for _ in range(2) for name in found.problems]

    with monkeypatch.context() as patch:
        both = run_on_ranks(patch, 2, rank, prompts, picture_store)
    alone = prepare_prompts(PROBLEMS, _encoder(tokenizer, image_processor))
    for found, encodings in both:
        assert found.tokens == alone.tokens
        assert list(found.problems) == ["p0", "p1", "p3", "p4", "p5"]
        assert found.rejected == Counter({"broken picture": 1})
        for prompt in encodings:
            assert torch.equal(prompt.pixel_values, alone.encode(prompt.problem_id).pixel_values)
    together = decoded[: len(PROBLEMS)]
    assert sorted(together) == sorted(problem.images[0] for problem in PROBLEMS)
    # The other half was decoded by the single-rank run.
    assert len(decoded) == 2 * len(PROBLEMS)
    assert list(tmp_path.iterdir()) == []


def test_rejected_problems_are_counted_on_one_machine_only(
    tokenizer: PreTrainedTokenizerBase,
    image_processor: Qwen2VLImageProcessorPil,
    monkeypatch: pytest.MonkeyPatch,
    decoded: list[bytes],
) -> None:
    """Four ranks on two machines: each machine decodes every picture."""

    def rank(_: int) -> PromptSet:
        return prepare_prompts(PROBLEMS, _encoder(tokenizer, image_processor))

    for found in run_on_ranks(monkeypatch, 4, rank, prompts, picture_store, machines=2):
        assert found.rejected == Counter({"broken picture": 1})
        assert list(found.problems) == ["p0", "p1", "p3", "p4", "p5"]
    assert Counter(decoded) == {problem.images[0]: 2 for problem in PROBLEMS}


def test_the_error_for_no_usable_prompt_lists_the_reasons(
    tokenizer: PreTrainedTokenizerBase, image_processor: Qwen2VLImageProcessorPil
) -> None:
    message = r"no usable prompt of 1 \(broken picture: 1\): fix the data or prompt.template, or raise"
    with pytest.raises(UserError, match=message):
        prepare_prompts([PROBLEMS[2]], _encoder(tokenizer, image_processor))
