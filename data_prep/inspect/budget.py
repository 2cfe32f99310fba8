"""What a pixel budget makes of a picture, by arithmetic on its size alone."""

from __future__ import annotations

from dataclasses import dataclass

from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

QWEN_FACTOR = 28  # pixels a side of an image token: patches of 14, merged 2 x 2


@dataclass(frozen=True)
class PixelBudget:
    """Least and most pixels of a resized picture, whose sides are multiples of `factor`."""

    min_pixels: int
    max_pixels: int
    factor: int = QWEN_FACTOR

    def pixels(self, width: int, height: int) -> int:
        """Pixels after resizing. Raises `ValueError` for sides beyond 200:1."""
        high, wide = smart_resize(height, width, self.factor, self.min_pixels, self.max_pixels)
        return int(high * wide)

    def tokens(self, width: int, height: int) -> int:
        """Image tokens of the prompt. Raises as `pixels` does."""
        return self.pixels(width, height) // self.factor**2

    def enlarges(self, width: int, height: int) -> bool:
        return self._rounded(width, height) < self.min_pixels

    def shrinks(self, width: int, height: int) -> bool:
        return self._rounded(width, height) > self.max_pixels

    def _rounded(self, width: int, height: int) -> int:
        return round(width / self.factor) * round(height / self.factor) * self.factor**2
