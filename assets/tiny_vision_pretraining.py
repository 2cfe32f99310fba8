"""Pretrains the vision tower to recognise digits, before the language model is trained.

Without pretraining, the tower gets no useful gradient until attention selects the right image token, and
attention has nothing to select until image tokens are informative: after 25,000 problems no number was read.
Pretraining classifies the number in each image token's square of a page, with a linear head that is then
discarded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import torch
from torch import nn
from torch.nn import functional as F
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from data_prep.synthetic.canvas import UNITS, Canvas, Placement
from vlm_uec.data.decode import decode_image
from vlm_uec.data.vision import extract_patches

SQUARE = 28  # pixels a side of an image token
SIDE = UNITS // SQUARE
BLANK = 10  # class of "no digit"
DIGITS = 3  # hundreds, tens, units


@dataclass(frozen=True)
class PretrainingRecipe:
    """Settings of the vision tower's pretraining."""

    steps: int = 500
    batch: int = 48
    lr: float = 2e-3
    filter_lr_scale: float = 0.03
    warmup: int = 30


def digit_labels(text: str) -> list[int]:
    """Class of each digit place of a label, BLANK where it has no digit (or is not a number, such as "x")."""
    digits = [int(character) for character in text if character.isdigit()]
    return [BLANK] * (DIGITS - len(digits)) + digits


def draw_page(rng: Random) -> tuple[bytes, list[list[int]]]:
    """A picture with a label in most squares, all shifted from the centres by the same offset.

    Also returns the digit labels [9][3] of the label whose centre is in each square.
    """
    canvas = Canvas(UNITS, Placement(0, 0))
    squares = [digit_labels("")] * SIDE**2
    right, down = rng.randrange(SQUARE), rng.randrange(SQUARE)
    for _ in range(3):
        canvas.line(*((rng.uniform(0, UNITS), rng.uniform(0, UNITS)) for _ in range(2)))
    for square in range(SIDE**2):
        x, y = right + SQUARE * (square % SIDE), down + SQUARE * (square // SIDE)
        text = rng.choices(("x", str(rng.randint(2, 99)), str(rng.randint(100, 170))), (1, 8, 1))[0]
        if 4 * len(text) <= x <= UNITS - 4 * len(text) and 5 <= y <= UNITS - 5 and rng.random() < 0.9:
            canvas.label((x, y), text)
            squares[square] = digit_labels(text)
    return canvas.png(), squares


def _batches(
    recipe: PretrainingRecipe, seed: int, processor: Qwen2VLImageProcessorPil
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Patches [N, 1176], grid [B, 3] and digit labels [B * 9, 3]."""
    rng = Random(f"reading {seed}")
    for _ in range(recipe.steps):
        pages = [draw_page(rng) for _ in range(recipe.batch)]
        patches, grid = extract_patches([decode_image(png) for png, _ in pages], processor)
        yield patches, grid, torch.tensor([square for _, squares in pages for square in squares])


def pretrain_vision_tower(
    visual: Qwen2_5_VisionTransformerPretrainedModel,
    processor: Qwen2VLImageProcessorPil,
    seed: int,
    recipe: PretrainingRecipe,
) -> None:
    """Trains the tower in place; the classification head is discarded."""
    filters = list(visual.patch_embed.parameters())
    rest = [parameter for name, parameter in visual.named_parameters() if not name.startswith("patch_embed")]
    torch.manual_seed(seed)
    head = nn.Linear(visual.config.out_hidden_size, DIGITS * (BLANK + 1))
    optimizer = torch.optim.AdamW(
        [
            {"params": filters, "scale": recipe.filter_lr_scale},
            {"params": [*rest, *head.parameters()], "scale": 1.0},
        ],
        betas=(0.9, 0.98),
    )
    started = time.monotonic()
    for step, (patches, grid, truth) in enumerate(_batches(recipe, seed, processor)):
        rate = recipe.lr * min(1.0, (step + 1) / recipe.warmup) * (1 - step / recipe.steps)
        for group in optimizer.param_groups:
            group["lr"] = group["scale"] * rate
        logits = head(visual(patches, grid_thw=grid).pooler_output).view(-1, BLANK + 1)
        loss = F.cross_entropy(logits, truth.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(visual.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 50 == 0:
            digits = truth.flatten() != BLANK
            right = (logits.argmax(-1) == truth.flatten())[digits].float().mean().item()
            seconds = time.monotonic() - started
            print(
                f"reading {step + 1:5d}  loss {loss.item():.3f}  digits {right:.2f}  {seconds:5.0f} s",
                flush=True,
            )
