"""The tiny model's tokenizer: class and special tokens of Qwen2, with a small byte-level BPE vocabulary.

The BPE is trained on the project's prompts and solutions and on typical geometry wording, so that the format
prompt has few tokens; any other text is encoded as bytes. For conversations of text and pictures, the chat
template has the same output as that of Qwen2.5-VL.
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

# The pattern of Qwen2: every digit is a separate token.
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

# The style of questions and answers in Geometry3K, without any of its problems.
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
    """A tokenizer of `vocabulary` entries, with the special tokens last, as in Qwen2.5."""
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
    # Any, because the type annotation of Qwen2Tokenizer is wrong: it needs pairs.
    merges: Any = [tuple(pair) for pair in model["merges"]]
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
