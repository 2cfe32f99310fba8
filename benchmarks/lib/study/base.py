"""The entropy study's base model and data, made from the bundled tiny model; reproducible to the bit."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import Qwen2_5_VLForConditionalGeneration

from assets.make_tiny_model import BUNDLE, VOCABULARY, load_encoder, save_model
from assets.tiny_training import Recipe, train
from benchmarks.lib.study.tasks import problems, supervised_examples
from data_prep.synthetic.problems import Split
from data_prep.writer import write_dataset
from vlm_uec.model.load import banned_ids
from vlm_uec.model.policy import Policy

SEED = 1
COUNTS: dict[Split, int] = {"train": 3900, "validation": 130}
BASE_RECIPE = Recipe(seed=SEED, steps=400, lr=1e-3, bare_share=1.0, full_every=10**9)


def make_data(out: Path) -> None:
    splits = {split: problems(split, count, SEED) for split, count in COUNTS.items()}
    write_dataset(out, {str(split): drawn for split, drawn in splits.items()}, {"seed": SEED})


def make_base(out: Path, recipe: Recipe = BASE_RECIPE) -> None:
    """Fine-tunes the bundled model on the study's examples, all weights except the picture's filters."""
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    encoder = load_encoder(BUNDLE)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(BUNDLE, dtype=torch.float32)
    policy = Policy(model, banned_ids(VOCABULARY, encoder.tokenizer))
    train(policy, encoder, recipe, supervised_examples(recipe.seed))
    encoder.save_pretrained(out)
    save_model(model, encoder.tokenizer, out)
