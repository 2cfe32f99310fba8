"""A prompt's length without its patches: text through the tokenizer, pictures by arithmetic on their size."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from data_prep.inspect.budget import PixelBudget
from vlm_uec.data.chat import tokenize_chat, user_message
from vlm_uec.data.encode import PromptEncoder, PromptRejected
from vlm_uec.errors import UserError
from vlm_uec.types import Problem


class PromptMeter:
    """Counts the tokens that `PromptEncoder` would make, and resizes no picture for it."""

    def __init__(self, model: Path, template: str | None, min_pixels: int, max_pixels: int) -> None:
        """The pixels given take the place of the model's own budget, as in training.

        Raises `UserError` where `model` is no model directory, or the template does not parse.
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
        """Tokens of the prompt; `sizes` are width and height of the problem's pictures.

        Raises `PromptRejected` where the template leaves not one image mark a picture.
        """
        message = user_message(self._encoder.format_prompt(problem))
        ids = tokenize_chat([message], self._encoder.tokenizer)
        if ids.count(self._encoder.image_pad_id) != len(sizes):
            raise PromptRejected("number of image marks and pictures differ")
        return len(ids) - len(sizes) + sum(self.budget.tokens(*size) for size in sizes)
