"""Converts problems to token ids: format prompt and chat template.

Data set text is untrusted: it is tokenized separately from the chat template, with special tokens disabled,
so "<|image_pad|>" or "<|im_end|>" in a question stays text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from transformers import PreTrainedTokenizerBase

from vlm_uec.data.validation import IMAGE_MARK
from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.types import Problem

# The reference's format prompt, verbatim: the published results were made with it.
DEFAULT_TEMPLATE = (
    "{{ question }} You FIRST think about the reasoning process as an internal monologue and then provide "
    "the final answer. The reasoning process MUST BE enclosed within <think> </think> tags. The final answer "
    "MUST BE put in \\boxed{}."
)
TEMPLATE_FIELDS = ("question", "choices", "precision", "question_type", "answer_type", "source", "metadata")
# Placeholders in private-use characters replace the data set's text while the chat template is rendered.
_PLACEHOLDER = re.compile("\ue000(\\d+)\ue001")


class FormatPrompt:
    """The jinja template around a question; its variables are the problem's `TEMPLATE_FIELDS`."""

    def __init__(self, template: str | None = None) -> None:
        """`template`: jinja source, or the path of a file that ends in .jinja; None is the reference's
        template."""
        self.source = _template_source(template)
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
        try:
            self._template = environment.from_string(self.source)
        except (TemplateError, RecursionError) as error:
            raise UserError(f"prompt.template does not parse: {error}") from error

    def __call__(self, problem: Problem) -> str:
        try:
            return self._template.render({name: getattr(problem, name) for name in TEMPLATE_FIELDS})
        except Exception as error:  # a template of the user can raise anything
            raise UserError(f"prompt.template fails on problem {escape(problem.id)}: {error}") from error


def _template_source(template: str | None) -> str:
    if template is None:
        return DEFAULT_TEMPLATE
    if not template.endswith(".jinja"):
        return template
    try:
        return Path(template).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise UserError(f"prompt.template: cannot read {template}: {error}") from error


def user_message(text: str) -> dict[str, Any]:
    """A user message in which every `<image>` mark is replaced by an image part."""
    parts: list[dict[str, str]] = []
    for index, piece in enumerate(text.split(IMAGE_MARK)):
        if index:
            parts.append({"type": "image"})
        if piece:
            parts.append({"type": "text", "text": piece})
    return {"role": "user", "content": parts}


def tokenize_chat(messages: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Token ids of a conversation up to the start of the assistant's reply.

    Each picture is one image pad, not yet expanded.
    """
    texts: list[str] = []

    def add_placeholder(text: str) -> str:
        texts.append(text)
        return f"\ue000{len(texts) - 1}\ue001"

    rendered = tokenizer.apply_chat_template(
        [_with_placeholders(message, add_placeholder) for message in messages],
        tokenize=False,
        add_generation_prompt=True,
    )
    ids: list[int] = []
    for index, piece in enumerate(_PLACEHOLDER.split(str(rendered))):
        is_text = index % 2 == 1
        text = texts[int(piece)] if is_text else piece
        ids += tokenizer(text, add_special_tokens=False, split_special_tokens=is_text)["input_ids"]
    return ids


def _with_placeholders(message: Mapping[str, Any], add_placeholder: Callable[[str], str]) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        return {**message, "content": add_placeholder(content)}
    parts = [{**part, "text": add_placeholder(part["text"])} if "text" in part else part for part in content]
    return {**message, "content": parts}
