"""Resized pictures as uint8, an eighth of the bytes of their float32 patches, and the conversion to patches.

Pictures are resized in eight bits; rescaling and normalising then map each of the 256 values of a channel to
a float. The cache therefore stores uint8 pixels, and a table lookup yields the patches of the image
processor, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

CHANNELS, UINT8_VALUES = 3, 256


@dataclass(frozen=True)
class UInt8Pixels:
    """A resized picture: one byte per channel and pixel, in patch order."""

    values: np.ndarray  # [N, 3, 14 * 14] uint8
    image_grid_thw: tuple[int, int, int]  # time, height, width in patches


class UInt8PixelProcessor:
    """The image processor in two stages: picture to uint8 pixels, uint8 pixels to patches."""

    def __init__(self, processor: Qwen2VLImageProcessorPil) -> None:
        self._processor = processor
        self._frames = processor.temporal_patch_size
        self._pixels = processor.patch_size**2
        self._floats = self._build_float_table(processor.patch_size * processor.merge_size)

    @property
    def merged_patches(self) -> int:
        """Patches per image token."""
        return int(self._processor.merge_size**2)

    def uint8_pixels(self, image: Image.Image) -> UInt8Pixels:
        """Resizes into the pixel budget. Raises ValueError for an aspect ratio over 200:1."""
        values, grid = self._process(image, scaled=False)
        return UInt8Pixels(values[:, :, 0].astype(np.uint8), grid)

    def pixel_values(self, pictures: Sequence[UInt8Pixels]) -> tuple[torch.Tensor, torch.Tensor]:
        """Patches [N, 1176] float32 and grid [images, 3] int64 (time, height, width in patches)."""
        total = sum(len(picture.values) for picture in pictures)
        # Memory of torch: the last bits of a matrix product can depend on the alignment of its operands.
        patches = torch.empty(total, CHANNELS, self._frames, self._pixels)
        rows = patches.numpy()
        start = 0
        for picture in pictures:
            stop = start + len(picture.values)
            for channel in range(CHANNELS):
                # All frames of a still picture are equal.
                rows[start:stop, channel] = self._floats[channel].take(picture.values[:, channel])[:, None]
            start = stop
        grid = torch.tensor([picture.image_grid_thw for picture in pictures], dtype=torch.int64)
        return patches.flatten(1), grid.reshape(-1, 3)

    def _build_float_table(self, side: int) -> np.ndarray:
        """[3, 256] float32: the processor's output for each uint8 value, from a picture of all values."""
        if side**2 < UINT8_VALUES:
            raise ValueError(f"an image token of {side} x {side} pixels has fewer than {UINT8_VALUES} values")
        ramp = np.zeros((side * side, CHANNELS), dtype=np.uint8)
        ramp[:UINT8_VALUES] = np.arange(UINT8_VALUES)[:, None]
        picture = Image.fromarray(ramp.reshape(side, side, CHANNELS))
        pixels, _ = self._process(picture, scaled=False, do_resize=False)
        floats, _ = self._process(picture, scaled=True, do_resize=False)
        table = np.zeros((CHANNELS, UINT8_VALUES), dtype=np.float32)
        for channel in range(CHANNELS):
            table[channel, pixels[:, channel].astype(np.int64)] = floats[:, channel]
        return table

    def _process(
        self, image: Image.Image, *, scaled: bool, do_resize: bool = True
    ) -> tuple[np.ndarray, tuple[int, int, int]]:
        """Output [N, 3, 2, 196] of the processor, rescaled and normalised if `scaled`."""
        options: dict[str, Any] = {"do_resize": do_resize}
        if not scaled:
            options |= {"do_rescale": False, "do_normalize": False}
        features = self._processor(images=[image], return_tensors="np", **options)
        time, height, width = features["image_grid_thw"][0].tolist()
        values = features["pixel_values"].reshape(-1, CHANNELS, self._frames, self._pixels)
        return values, (time, height, width)
