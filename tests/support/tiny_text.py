"""A random text-only Qwen2.5 of a few thousand parameters, and its directory."""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from data_prep.writer import write_dataset
from tests.support.launch import BUNDLED_MODEL, workspace
from tests.support.tiny import draw_weights
from vlm_uec.types import Problem

# A text model's template, in the form of Qwen2.5's: content is text, not parts.
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_text_model(seed: int = 0, vocabulary: int = 512, hidden: int = 48) -> Qwen2ForCausalLM:
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
    )
    config._attn_implementation = "sdpa"
    model = Qwen2ForCausalLM(config).float()
    draw_weights(model)
    return model


@functools.cache
def text_model_directory() -> Path:
    return write_text_model(workspace() / "text_model")


def write_text_model(directory: Path, hidden: int = 48) -> Path:
    """With the bundled tokenizer under a text model's template; returns `directory`."""
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED_MODEL)
    model = tiny_text_model(hidden=hidden)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id]
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    (directory / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return directory


@functools.cache
def sums() -> Path:
    """A data set without pictures."""
    out = workspace() / "sums"
    problems = [Problem(f"{a}", f"What is {a} + {a + 1}?", str(2 * a + 1)) for a in range(24)]
    write_dataset(out, {"train": problems, "validation": problems[:4]}, {})
    return out
