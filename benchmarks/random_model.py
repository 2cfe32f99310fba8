"""A Qwen2.5-VL of a published shape with random weights, for speed and memory runs without a download.

    python benchmarks/random_model.py --shape 3b --out /tmp/random-3b

The tokenizer and image processor are the bundled tiny model's; ids beyond its vocabulary are banned in
sampling and scoring, so the model trains like any other.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from vlm_uec.data.vision import load_image_processor

BUNDLE = "assets/tiny-qwen2.5-vl"
# config.json of Qwen/Qwen2.5-VL-{3B,7B}-Instruct
SHAPES: dict[str, dict[str, dict[str, Any]]] = {
    "3b": {
        "text": {
            "hidden_size": 2048,
            "intermediate_size": 11008,
            "num_hidden_layers": 36,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
            "tie_word_embeddings": True,
        },
        "vision": {"out_hidden_size": 2048},
    },
    "7b": {
        "text": {
            "hidden_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "tie_word_embeddings": False,
        },
        "vision": {"out_hidden_size": 3584},
    },
}
VOCABULARY = {"3b": 151_936, "7b": 152_064}
VISION = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31],
}
ROPE = {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1_000_000.0}


def build(shape: str, out: Path, seed: int) -> int:
    """Writes the model directory; returns the number of weights."""
    torch.manual_seed(seed)
    torch.set_default_dtype(torch.bfloat16)
    bundle: Any = Qwen2_5_VLConfig.from_pretrained(BUNDLE)
    parts = SHAPES[shape]
    config = Qwen2_5_VLConfig(
        text_config={
            **parts["text"],
            "vocab_size": VOCABULARY[shape],
            "rope_parameters": ROPE,
            "bos_token_id": bundle.text_config.bos_token_id,
            "eos_token_id": bundle.text_config.eos_token_id,
        },
        vision_config={**VISION, **parts["vision"]},
        tie_word_embeddings=parts["text"]["tie_word_embeddings"],
        image_token_id=bundle.image_token_id,
        video_token_id=bundle.video_token_id,
        vision_start_token_id=bundle.vision_start_token_id,
        vision_end_token_id=bundle.vision_end_token_id,
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
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
    print(f"{arguments.out}: {weights / 1e9:.2f} B random weights")


if __name__ == "__main__":
    main()
