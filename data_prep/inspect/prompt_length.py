"""Computes prompt lengths: text with the tokenizer, pictures from their size, without resizing them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from data_prep.inspect.budget import PixelBudget
from vlm_uec.data.chat import tokenize_chat, user_message
from vlm_uec.data.encode import PromptEncoder, PromptRejected
from vlm_uec.errors import UserError
from vlm_uec.types import Problem


class PromptTokenCounter:
    """Counts the tokens of a prompt as `PromptEncoder` makes it, without resizing pictures."""

    def __init__(self, model: Path, template: str | None, min_pixels: int, max_pixels: int) -> None:
        """`min_pixels` and `max_pixels` replace the model's own budget, as in training.

        Raises `UserError` if `model` is not a model directory, or the template does not parse.
        """
        if not model.is_dir():
            raise UserError(
                f"--model {model}: no such directory; give one with tokenizer and image processor"
            )
        self._encoder = PromptEncoder.from_pretrained(
            str(model),
            template=template,
            min_pixels=min_pixels,
            max_pixels=max_pixels,
            max_prompt_tokens=sys.maxsize,
        )
        processor = self._encoder.image_processor
        self.budget = PixelBudget(min_pixels, max_pixels, processor.patch_size * processor.merge_size)

    def __call__(self, problem: Problem, sizes: Sequence[tuple[int, int]]) -> int:
        """Tokens of the prompt; `sizes`: width and height of each picture.

        Raises `PromptRejected` if the prompt does not have one image mark per picture.
        """
        message = user_message(self._encoder.format_prompt(problem))
        ids = tokenize_chat([message], self._encoder.tokenizer)
        if ids.count(self._encoder.image_pad_id) != len(sizes):
            raise PromptRejected("number of image marks and pictures differ")
        return len(ids) - len(sizes) + sum(self.budget.tokens(*size) for size in sizes)
