"""Builds the bundled tiny Qwen2.5-VL from scratch: tokenizer, then supervised training on synthetic problems.

    OMP_NUM_THREADS=1 python -m assets.make_tiny_model

The model is a `Qwen2_5_VLForConditionalGeneration` that can be trained on one CPU core. Training uses the
training split only and is stopped early on purpose, so that reinforcement learning can improve the model.
Weights are initialised with standard deviation 1 / sqrt(fan_in); the default 0.02 is far too small at this
width.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerBase,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from assets.tiny_scores import Score, evaluate, table
from assets.tiny_tokenizer import GEOMETRY_WORDING, train_tokenizer
from assets.tiny_training import Recipe, response_text, train, training_stream
from assets.tiny_vision_pretraining import PretrainingRecipe, pretrain_vision_tower
from data_prep.synthetic.kinds import LEVELS
from data_prep.synthetic.problems import generate
from vlm_uec.data.chat import FormatPrompt
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.data.vision import load_image_processor
from vlm_uec.model.load import banned_ids
from vlm_uec.model.policy import Policy
from vlm_uec.rollout.native import NativeEngine

BUNDLE = Path(__file__).parent / "tiny-qwen2.5-vl"
VOCABULARY = 512
MIN_PIXELS, MAX_PIXELS = 56 * 56, 168 * 168
EVALUATED, SAMPLES = 560, 8  # test problems; responses to each at temperature 1


def tokenizer_texts(seed: int) -> Iterator[str]:
    """Training texts of the vocabulary; the format prompt, part of every prompt, has the largest weight."""
    format_prompt = FormatPrompt()
    for made in generate("train", 2000, seed, LEVELS):
        yield response_text(made)
        yield made.problem.question
    yield from [format_prompt(made.problem)] * 1000
    yield from ["system\nYou are a helpful assistant.", "user\n", "assistant\n"] * 500
    yield from list(GEOMETRY_WORDING) * 20


def tiny_config(tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLConfig:
    """About 0.8 million parameters; as in Qwen2.5-VL, vision layers have window (0) or full attention (1)."""

    token = tokenizer.get_vocab()
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": VOCABULARY,
            "hidden_size": 96,
            "intermediate_size": 192,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "rms_norm_eps": 1e-6,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [4, 4, 4]},
            "tie_word_embeddings": True,
            "bos_token_id": token["<|endoftext|>"],
            "eos_token_id": token["<|im_end|>"],
        },
        vision_config={
            "depth": 2,
            "hidden_size": 96,
            "intermediate_size": 224,
            "num_heads": 4,
            "out_hidden_size": 96,
            "fullatt_block_indexes": [1],
            "window_size": 112,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "in_channels": 3,
        },
        image_token_id=token["<|image_pad|>"],
        video_token_id=token["<|video_pad|>"],
        vision_start_token_id=token["<|vision_start|>"],
        vision_end_token_id=token["<|vision_end|>"],
        tie_word_embeddings=True,
    )


def random_model(config: Qwen2_5_VLConfig, seed: int) -> Qwen2_5_VLForConditionalGeneration:
    """Matrices with standard deviation 1 / sqrt(fan_in), biases 0, norms 1.

    Pixel filters have mean 0: pictures are mostly white, and white would dominate the output of every filter.
    """
    torch.manual_seed(seed)
    config._attn_implementation = "sdpa"
    model = Qwen2_5_VLForConditionalGeneration(config).float()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.zeros_(parameter)
        elif parameter.dim() > 1:
            fan_in = parameter[0].numel()
            torch.nn.init.normal_(parameter, std=1 / math.sqrt(fan_in))
    with torch.no_grad():
        filters = model.model.visual.patch_embed.proj.weight
        filters -= filters.mean(dim=(1, 2, 3, 4), keepdim=True)
    return model


def save_tokenizer_and_processor(out: Path, recipe: Recipe) -> Qwen2Tokenizer:
    tokenizer = train_tokenizer(tokenizer_texts(recipe.seed), VOCABULARY)
    tokenizer.save_pretrained(out)
    size = {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS}
    Qwen2VLImageProcessorPil(size=size).save_pretrained(out)
    return tokenizer


def end_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    vocabulary = tokenizer.get_vocab()
    return [vocabulary["<|im_end|>"], vocabulary["<|endoftext|>"]]


def save_model(
    model: Qwen2_5_VLForConditionalGeneration, tokenizer: PreTrainedTokenizerBase, out: Path
) -> None:
    ends = end_tokens(tokenizer)
    model.generation_config = GenerationConfig(
        bos_token_id=ends[1], eos_token_id=ends, pad_token_id=ends[1], do_sample=True, temperature=1.0
    )
    model.save_pretrained(out)


def load_encoder(bundle: Path) -> PromptEncoder:
    """Encoder without a cache: in training, the same problem occurs with several pictures."""
    processor = load_image_processor(str(bundle), MIN_PIXELS, MAX_PIXELS)
    tokenizer = AutoTokenizer.from_pretrained(bundle)
    return PromptEncoder(tokenizer, processor, FormatPrompt(), max_prompt_tokens=512, cache_bytes=0)


def build(out: Path, recipe: Recipe) -> None:
    """Writes tokenizer, image processor and trained model to `out`."""
    tokenizer = save_tokenizer_and_processor(out, recipe)
    encoder = load_encoder(out)
    model = random_model(tiny_config(tokenizer), recipe.seed)
    pretrain_vision_tower(model.model.visual, encoder.image_processor, recipe.seed, PretrainingRecipe())
    policy = Policy(model, banned_ids(VOCABULARY, tokenizer))
    train(policy, encoder, recipe, training_stream(recipe))
    save_model(model, tokenizer, out)


def write_model_card(out: Path, recipe: Recipe) -> str:
    """Scores the model in `out` on test-split problems; writes its card and returns it."""
    encoder = load_encoder(out)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(out)
    policy = Policy(model, banned_ids(VOCABULARY, encoder.tokenizer))
    engine = NativeEngine(policy, frozenset(end_tokens(encoder.tokenizer)), slots=32)
    problems = [made.problem for made in generate("test", EVALUATED, recipe.seed, LEVELS)]
    scores = evaluate(engine, encoder, problems, SAMPLES)
    text = model_card(recipe, sum(parameter.numel() for parameter in model.parameters()), scores)
    (out / "README.md").write_text(text, encoding="utf-8")
    return text


def model_card(recipe: Recipe, parameters: int, scores: Sequence[Score]) -> str:
    return f"""---
license: apache-2.0
library_name: transformers
pipeline_tag: image-text-to-text
---
# tiny-qwen2.5-vl

A `Qwen2_5_VLForConditionalGeneration` of {parameters:,} parameters for demonstrations and tests on a CPU.
It reads plane-geometry pictures of 84 x 84 pixels (9 image tokens) and answers in the form
`<think> ... </think> \\boxed{{...}}`. It has no other abilities. The vision tower was pretrained on
{PretrainingRecipe().steps} batches of pages of numbers; the model was then trained on {recipe.steps:,}
batches of {recipe.batch} problems of `python -m data_prep synthetic`, training split only. In the last
{1 - recipe.bare_share:.0%} of them, {recipe.direct_share:.0%} of the responses are the boxed answer
without reasoning. The model therefore often answers without reasoning and is often wrong; reinforcement
learning can improve it.

Made by `OMP_NUM_THREADS=1 python -m assets.make_tiny_model` with `{recipe}`.

Scores on {EVALUATED} test-split problems: greedy, mean of {SAMPLES} samples at temperature 1, and share of
problems with at least one of these {SAMPLES} samples correct.

{table(scores)}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=BUNDLE)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recipe = Recipe(seed=arguments.seed, steps=arguments.steps)
    build(arguments.out, recipe)
    print(write_model_card(arguments.out, recipe))


if __name__ == "__main__":
    main()
