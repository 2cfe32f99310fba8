"""The effect of a pixel budget on a picture, computed from its size."""

from __future__ import annotations

from dataclasses import dataclass

from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

QWEN_FACTOR = 28  # pixels a side of an image token: patches of 14, merged 2 x 2


@dataclass(frozen=True)
class PixelBudget:
    """Minimum and maximum pixels of a resized picture, whose sides are multiples of `factor`."""

    min_pixels: int
    max_pixels: int
    factor: int = QWEN_FACTOR

    def pixels(self, width: int, height: int) -> int:
        """Pixels after resizing. Raises `ValueError` for an aspect ratio over 200:1."""
        new_height, new_width = smart_resize(height, width, self.factor, self.min_pixels, self.max_pixels)
        return int(new_height * new_width)

    def tokens(self, width: int, height: int) -> int:
        """Image tokens in the prompt. Raises the errors of `pixels`."""
        return self.pixels(width, height) // self.factor**2

    def enlarges(self, width: int, height: int) -> bool:
        return self._rounded(width, height) < self.min_pixels

    def shrinks(self, width: int, height: int) -> bool:
        return self._rounded(width, height) > self.max_pixels

    def _rounded(self, width: int, height: int) -> int:
        return round(width / self.factor) * round(height / self.factor) * self.factor**2
