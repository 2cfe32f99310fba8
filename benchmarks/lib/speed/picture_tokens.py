"""Counts the tokens of a picture: with the reference code's two roundings, and with this trainer's one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

SIDE = 28  # pixels of a token: a patch of 14, merged two by two
MODEL_BUDGET = (56 * 56, 28 * 28 * 16384)  # min_pixels and max_pixels of Qwen2.5-VL's own processor
ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"}

Size = tuple[int, int]  # width, height in pixels


def reference_tokens(size: Size, min_pixels: int, max_pixels: int) -> int:
    """Tokens after the reference code's resize to whole pixels and the processor's rounding."""
    width, height = size
    if width * height > max_pixels:
        width, height = _scaled((width, height), max_pixels)
    if width * height < min_pixels:
        width, height = _scaled((width, height), min_pixels)
    return our_tokens((width, height), *MODEL_BUDGET)


def our_tokens(size: Size, min_pixels: int, max_pixels: int) -> int:
    """Tokens after the processor's rounding within the budget. Raises ValueError above a ratio of 200."""
    width, height = size
    rows, columns = smart_resize(height, width, SIDE, min_pixels, max_pixels)
    return (rows // SIDE) * (columns // SIDE)


def _scaled(size: Size, pixels: int) -> Size:
    factor = math.sqrt(pixels / (size[0] * size[1]))
    return int(size[0] * factor), int(size[1] * factor)


def picture_sizes(directory: Path) -> list[Size]:
    """Sizes of all pictures below a directory, in the order of their paths."""
    paths = sorted(path for path in directory.rglob("*") if path.suffix.lower() in ENDINGS)
    return [_size(path) for path in paths]


def _size(path: Path) -> Size:
    with Image.open(path) as image:
        return image.size


def table(sizes: Iterable[Size], budgets: Iterable[int], reference_min: int, max_pixels: int) -> list[str]:
    """The reference's mean, then a line per budget: mean and how many pictures have equally many tokens."""
    sizes = list(sizes)
    theirs = [reference_tokens(size, reference_min, max_pixels) for size in sizes]
    lines = [f"{len(sizes)} pictures; reference, min_pixels {reference_min}: mean {_mean(theirs):.1f} tokens"]
    for budget in budgets:
        ours = [our_tokens(size, budget, max_pixels) for size in sizes]
        equal = sum(a == b for a, b in zip(ours, theirs, strict=True))
        ratio = _mean(ours) / _mean(theirs) - 1
        lines.append(f"ours, min_pixels {budget}: mean {_mean(ours):.1f} ({ratio:+.1%}), {equal} equal")
    return lines


def _mean(counts: list[int]) -> float:
    return sum(counts) / len(counts)
