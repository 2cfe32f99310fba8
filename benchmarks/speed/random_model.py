"""A Qwen2.5-VL with random weights, of a published shape or a tiny one: benchmarks without a download.

    python benchmarks/speed/random_model.py --shape 3b --out /tmp/random-3b

The tokenizer and image processor are the bundled tiny model's; ids beyond its vocabulary are banned in
sampling and scoring, so the model trains like any other.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from vlm_uec.data.vision import load_image_processor
from vlm_uec.forecast.shape import published_sizes

BUNDLE = "assets/tiny-qwen2.5-vl"


@dataclass(frozen=True)
class Shape:
    """What differs between the models; everything else is Qwen2.5-VL's own default."""

    text: Mapping[str, Any]
    vision: Mapping[str, Any]
    mrope_section: tuple[int, int, int]  # rotary pairs of a head for time, height and width
    dtype: torch.dtype


def _published(size: str) -> Shape:
    text, tower = published_sizes(size)
    windows = {"window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31]}
    return Shape(text, {**tower, **windows}, mrope_section=(16, 24, 24), dtype=torch.bfloat16)


SHAPES = {
    # Small enough to train on one CPU core, with every part of the large ones: windows, grouped heads, ties.
    "2m": Shape(
        text={
            "vocab_size": 512,
            "hidden_size": 128,
            "intermediate_size": 344,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "tie_word_embeddings": True,
        },
        vision={
            "depth": 4,
            "hidden_size": 128,
            "intermediate_size": 344,
            "num_heads": 4,
            "window_size": 112,
            "fullatt_block_indexes": [1, 3],
            "out_hidden_size": 128,
        },
        mrope_section=(4, 6, 6),
        dtype=torch.float32,
    ),
    "3b": _published("3B"),
    "7b": _published("7B"),
}


def configuration(shape: Shape) -> Qwen2_5_VLConfig:
    """The shape with the bundled tokenizer's special tokens."""
    bundle: Any = Qwen2_5_VLConfig.from_pretrained(BUNDLE)
    rope = {
        "rope_type": "default",
        "mrope_section": list(shape.mrope_section),
        "rope_theta": 1_000_000.0,
    }
    return Qwen2_5_VLConfig(
        text_config={
            **shape.text,
            "rope_parameters": rope,
            "bos_token_id": bundle.text_config.bos_token_id,
            "eos_token_id": bundle.text_config.eos_token_id,
        },
        vision_config=dict(shape.vision),
        tie_word_embeddings=shape.text["tie_word_embeddings"],
        image_token_id=bundle.image_token_id,
        video_token_id=bundle.video_token_id,
        vision_start_token_id=bundle.vision_start_token_id,
        vision_end_token_id=bundle.vision_end_token_id,
    )


def build(shape: str, out: Path, seed: int) -> int:
    """Writes the model directory; returns the number of weights."""
    torch.manual_seed(seed)
    torch.set_default_dtype(SHAPES[shape].dtype)
    # Drawing billions of numbers takes one CPU core minutes.
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = Qwen2_5_VLForConditionalGeneration(configuration(SHAPES[shape]))
    model.generation_config.eos_token_id = AutoTokenizer.from_pretrained(BUNDLE).eos_token_id
    model.save_pretrained(out)
    AutoTokenizer.from_pretrained(BUNDLE).save_pretrained(out)
    load_image_processor(BUNDLE, None, None).save_pretrained(out)
    return sum(weight.numel() for weight in model.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=sorted(SHAPES), default="3b")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    weights = build(arguments.shape, arguments.out, arguments.seed)
    print(f"{arguments.out}: {weights:,} random weights")


if __name__ == "__main__":
    main()
