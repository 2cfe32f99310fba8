"""A random text-only Qwen2.5 of a few thousand parameters, and a data set without pictures."""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from data_prep.writer import write_dataset
from tests.support.launch import BUNDLED_MODEL, workspace
from tests.support.tiny import draw_weights
from vlm_uec.types import Problem

# A chat template like Qwen2.5's, in which content is a text, not a list of parts.
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
    """Writes a text model with the bundled tokenizer and a text chat template; returns `directory`."""
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED_MODEL)
    model = tiny_text_model(hidden=hidden)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id]
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    (directory / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return directory


@functools.cache
def addition_data() -> Path:
    """A data set of additions, without pictures."""
    out = workspace() / "sums"
    problems = [Problem(f"{a}", f"What is {a} + {a + 1}?", str(2 * a + 1)) for a in range(24)]
    write_dataset(out, {"train": problems, "validation": problems[:4]}, {})
    return out
