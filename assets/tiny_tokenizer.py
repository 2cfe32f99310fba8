"""The tiny model's tokenizer: Qwen2's own class and special tokens over a small byte-level BPE.

Trained here on the project's prompts and solutions and on ordinary geometry wording, so the format prompt
is short in tokens; bytes make every other text encodable. The chat template gives what Qwen2.5-VL's gives
for conversations of text and pictures.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import Qwen2Tokenizer

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

# Qwen2's: a digit is always a token of its own.
_PRETOKENS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' or 'image' in part or 'image_url' in part %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'video' or 'video' in part %}"
    "<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# How Geometry3K words its questions and answers, without any of its problems.
GEOMETRY_WORDING = (
    "Find the measure of \\angle 1 . Find m \\angle A B C . Find the length of \\overline { A B } .",
    "Quadrilateral A B C D is a rectangle. Find the perimeter of the parallelogram.",
    "Round to the nearest tenth.",
    "Find the area of the shaded region. Round to the nearest hundredth if necessary.",
    "In \\odot O , \\widehat { A B } is an arc. Find x so that each triangle is similar.",
    "Solve for y in the figure.",
    "Circle O has a radius and a diameter. Lines l and m are parallel. Use the Pythagorean Theorem.",
    "\\triangle A B C \\cong \\triangle D E F . Each pair of polygons is similar. Find the scale factor.",
    "Find the value of the variable. If necessary, find the trapezoid, rhombus, square, kite or hexagon.",
    "3 \\sqrt { 2 } \\frac { 2 } { 5 } 14 \\pi \\frac { \\sqrt { 3 } } { 2 } m \\perp \\parallel",
)


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Qwen2Tokenizer:
    """A tokenizer of `vocabulary` entries, the special tokens last as in Qwen2.5."""
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.NFC()
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PRETOKENS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator(texts, trainer)
    model = json.loads(trained.to_str())["model"]
    merges: Any = [tuple(pair) for pair in model["merges"]]  # pairs, whatever the signature says
    tokenizer = Qwen2Tokenizer(
        vocab={**model["vocab"], SPECIAL_TOKENS[0]: vocabulary - len(SPECIAL_TOKENS)},
        merges=merges,
        eos_token=SPECIAL_TOKENS[2],
        pad_token=SPECIAL_TOKENS[0],
        model_max_length=32768,
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL_TOKENS[1:])})
    tokenizer.chat_template = CHAT_TEMPLATE
    if len(tokenizer) != vocabulary:
        raise ValueError(f"{len(tokenizer)} tokens instead of {vocabulary}: too little text to train on")
    return tokenizer
