"""Reading lessons: the vision tower learns digits before the language model learns to ask for them.

Without them the tower waits for a gradient that only comes once attention has found the right image token,
and attention waits for tokens worth finding: nothing was read after 25,000 problems. A page of numbers with
one linear head, thrown away afterwards, teaches each image token the number in its square.
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
from vlm_uec.data.vision import patches_of

SQUARE = 28  # pixels a side of an image token
SIDE = UNITS // SQUARE
BLANK = 10  # the class of "no digit here"
DIGITS = 3  # places: hundreds, tens, units


@dataclass(frozen=True)
class Lessons:
    """How long and how fast the tower reads."""

    steps: int = 500
    batch: int = 48
    lr: float = 2e-3
    filter_lr_scale: float = 0.03
    warmup: int = 30


def places(text: str) -> list[int]:
    """The digits of a label by place, BLANK where it has none (or is no number, as "x")."""
    digits = [int(character) for character in text if character.isdigit()]
    return [BLANK] * (DIGITS - len(digits)) + digits


def page(rng: Random) -> tuple[bytes, list[list[int]]]:
    """A picture with a label in most squares, off the squares' centres by one common shift; and the
    places [9][3] of the label whose centre lies in each square."""
    canvas = Canvas(UNITS, Placement(0, 0))
    squares = [places("")] * SIDE**2
    right, down = rng.randrange(SQUARE), rng.randrange(SQUARE)
    for _ in range(3):
        canvas.line(*((rng.uniform(0, UNITS), rng.uniform(0, UNITS)) for _ in range(2)))
    for square in range(SIDE**2):
        x, y = right + SQUARE * (square % SIDE), down + SQUARE * (square // SIDE)
        text = rng.choices(("x", str(rng.randint(2, 99)), str(rng.randint(100, 170))), (1, 8, 1))[0]
        if 4 * len(text) <= x <= UNITS - 4 * len(text) and 5 <= y <= UNITS - 5 and rng.random() < 0.9:
            canvas.label((x, y), text)
            squares[square] = places(text)
    return canvas.png(), squares


def _batches(
    lessons: Lessons, seed: int, processor: Qwen2VLImageProcessorPil
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Patches [N, 1176], grid [B, 3] and places [B * 9, 3]."""
    rng = Random(f"reading {seed}")
    for _ in range(lessons.steps):
        pages = [page(rng) for _ in range(lessons.batch)]
        patches, grid = patches_of([decode_image(png) for png, _ in pages], processor)
        yield patches, grid, torch.tensor([square for _, squares in pages for square in squares])


def teach_reading(
    visual: Qwen2_5_VisionTransformerPretrainedModel,
    processor: Qwen2VLImageProcessorPil,
    seed: int,
    lessons: Lessons,
) -> None:
    """Trains the tower in place; the head that grades it is not kept."""
    filters = list(visual.patch_embed.parameters())
    rest = [parameter for name, parameter in visual.named_parameters() if not name.startswith("patch_embed")]
    torch.manual_seed(seed)
    head = nn.Linear(visual.config.out_hidden_size, DIGITS * (BLANK + 1))
    optimizer = torch.optim.AdamW(
        [
            {"params": filters, "scale": lessons.filter_lr_scale},
            {"params": [*rest, *head.parameters()], "scale": 1.0},
        ],
        betas=(0.9, 0.98),
    )
    started = time.monotonic()
    for step, (patches, grid, truth) in enumerate(_batches(lessons, seed, processor)):
        rate = lessons.lr * min(1.0, (step + 1) / lessons.warmup) * (1 - step / lessons.steps)
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
