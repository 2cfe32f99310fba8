"""Checks of a model's chat template, and the part of a response that it writes itself.

Templates of reasoning models end the prompt with `<think>`, so that the model writes only what follows.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any

from transformers import PreTrainedTokenizerBase

from vlm_uec.errors import UserError
from vlm_uec.escape import escape

_THINK = "<think>"
_QUESTION = "\ue000question\ue001"
_FIX = "give another model, or correct its chat_template"


def thinking_prefill(tokenizer: PreTrainedTokenizerBase, *, pictures: bool) -> str:
    """What the template writes at the start of the assistant's reply, from `<think>` on; "" without it.

    `pictures`: whether the model takes pictures, so that the template expects content in parts.
    """
    question, prompt = _renderings(tokenizer, pictures=pictures)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(question, prompt, strict=False)))
    start = prompt[shared:]
    return "".join(start.partition(_THINK)[1:])


def check_chat_template(tokenizer: PreTrainedTokenizerBase, model_path: str, image_pad: str | None) -> None:
    """Raises UserError if the template fails, or leaves out the question, a picture or the start of a reply.

    `image_pad`: the token that the template writes for a picture; None for a text-only model.
    """
    where = f"{escape(model_path, 200)}: its chat template"
    if tokenizer.chat_template is None:
        raise UserError(f"{model_path}: its tokenizer has no chat template; give an instruct model")
    try:
        question, prompt = _renderings(tokenizer, pictures=image_pad is not None)
    except Exception as error:  # a template can raise anything
        raise UserError(f"{where} fails on a question: {escape(str(error), 200)}; {_FIX}") from error
    if _QUESTION not in prompt:
        raise UserError(f"{where} leaves out the text of a question; {_FIX}")
    if image_pad is not None and prompt.count(image_pad) != 1:
        count = prompt.count(image_pad)
        raise UserError(f"{where} writes {count} {image_pad} for a question with one picture; {_FIX}")
    if prompt == question:
        raise UserError(
            f"{where} ignores add_generation_prompt, so a prompt does not start the assistant's reply; {_FIX}"
        )


def _renderings(tokenizer: PreTrainedTokenizerBase, *, pictures: bool) -> tuple[str, str]:
    """A question, with one picture if the model takes pictures, without and with the start of a reply."""
    content: Any = [{"type": "image"}, {"type": "text", "text": _QUESTION}] if pictures else _QUESTION

    def render(add_generation_prompt: bool) -> str:
        conversation = [{"role": "user", "content": content}]
        return str(
            tokenizer.apply_chat_template(
                conversation, tokenize=False, add_generation_prompt=add_generation_prompt
            )
        )

    return render(False), render(True)
