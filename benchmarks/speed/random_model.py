"""Writes a Qwen2.5-VL with random weights, of a published or a tiny shape, for benchmarks without a download.

    python benchmarks/speed/random_model.py --shape 3b --out /tmp/random-3b

It has the tokenizer and image processor of the bundled tiny model. Ids outside their vocabulary are banned in
sampling and scoring, so the model can be trained.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

sys.path.insert(0, str(Path(__file__).parents[2]))  # the path of a script lacks the repository root

from benchmarks.lib.speed.architectures import ARCHITECTURES, Architecture
from vlm_uec.data.vision import load_image_processor

BUNDLE = "assets/tiny-qwen2.5-vl"


def model_config(architecture: Architecture) -> Qwen2_5_VLConfig:
    """The architecture with the special tokens of the bundled tokenizer."""
    bundle: Any = Qwen2_5_VLConfig.from_pretrained(BUNDLE)
    rope = {
        "rope_type": "default",
        "mrope_section": list(architecture.mrope_section),
        "rope_theta": 1_000_000.0,
    }
    return Qwen2_5_VLConfig(
        text_config={
            **architecture.text,
            "rope_parameters": rope,
            "bos_token_id": bundle.text_config.bos_token_id,
            "eos_token_id": bundle.text_config.eos_token_id,
        },
        vision_config=dict(architecture.vision),
        tie_word_embeddings=architecture.text["tie_word_embeddings"],
        image_token_id=bundle.image_token_id,
        video_token_id=bundle.video_token_id,
        vision_start_token_id=bundle.vision_start_token_id,
        vision_end_token_id=bundle.vision_end_token_id,
    )


def build(name: str, out: Path, seed: int) -> int:
    """Writes the model directory; returns the number of weights."""
    torch.manual_seed(seed)
    torch.set_default_dtype(ARCHITECTURES[name].dtype)
    # One CPU core takes minutes to draw billions of random numbers.
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = Qwen2_5_VLForConditionalGeneration(model_config(ARCHITECTURES[name]))
    model.generation_config.eos_token_id = AutoTokenizer.from_pretrained(BUNDLE).eos_token_id
    model.save_pretrained(out)
    AutoTokenizer.from_pretrained(BUNDLE).save_pretrained(out)
    load_image_processor(BUNDLE, None, None).save_pretrained(out)
    return sum(weight.numel() for weight in model.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=sorted(ARCHITECTURES), default="3b")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    weights = build(arguments.shape, arguments.out, arguments.seed)
    print(f"{arguments.out}: {weights:,} random weights")


if __name__ == "__main__":
    main()
