"""Resized pictures as uint8, an eighth of the bytes of their float32 patches, and the patches made from them.

A picture is resized in eight bits; rescaling and normalising map each of the 256 values of a channel to a
float. The cache therefore stores uint8 pixels, and a table lookup gives the image processor's patches bit for
bit.
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
    """A picture at the policy's size: one byte a channel and pixel, in the order of its patches."""

    values: np.ndarray  # [N, 3, 14 * 14] uint8
    image_grid_thw: tuple[int, int, int]  # time, height, width in patches


class UInt8PixelProcessor:
    """The image processor in two halves: picture to uint8 pixels, uint8 pixels to patches."""

    def __init__(self, processor: Qwen2VLImageProcessorPil) -> None:
        self._processor = processor
        self._frames = processor.temporal_patch_size
        self._pixels = processor.patch_size**2
        self._floats = self._float_table(processor.patch_size * processor.merge_size)

    @property
    def merged_patches(self) -> int:
        """Patches behind one image token."""
        return int(self._processor.merge_size**2)

    def uint8_pixels(self, image: Image.Image) -> UInt8Pixels:
        """Resizes into the pixel budget. Raises ValueError for a strip too long and thin to resize."""
        values, grid = self._processed(image, scaled=False)
        return UInt8Pixels(values[:, :, 0].astype(np.uint8), grid)

    def pixel_values(self, pictures: Sequence[UInt8Pixels]) -> tuple[torch.Tensor, torch.Tensor]:
        """Patches [N, 1176] float32 and grid [images, 3] int64 (time, height, width in patches)."""
        total = sum(len(picture.values) for picture in pictures)
        # torch's own memory: the last bits of a matrix product can follow the alignment of its operands.
        patches = torch.empty(total, CHANNELS, self._frames, self._pixels)
        rows = patches.numpy()
        start = 0
        for picture in pictures:
            stop = start + len(picture.values)
            for channel in range(CHANNELS):
                # A still picture: every frame of a patch is the same.
                rows[start:stop, channel] = self._floats[channel].take(picture.values[:, channel])[:, None]
            start = stop
        grid = torch.tensor([picture.image_grid_thw for picture in pictures], dtype=torch.int64)
        return patches.flatten(1), grid.reshape(-1, 3)

    def _float_table(self, side: int) -> np.ndarray:
        """[3, 256] float32: the processor's output for each uint8 value, from a picture with all of them."""
        if side**2 < UINT8_VALUES:
            raise ValueError(f"an image token of {side} x {side} pixels does not hold {UINT8_VALUES} values")
        ramp = np.zeros((side * side, CHANNELS), dtype=np.uint8)
        ramp[:UINT8_VALUES] = np.arange(UINT8_VALUES)[:, None]
        picture = Image.fromarray(ramp.reshape(side, side, CHANNELS))
        pixels, _ = self._processed(picture, scaled=False, do_resize=False)
        floats, _ = self._processed(picture, scaled=True, do_resize=False)
        table = np.zeros((CHANNELS, UINT8_VALUES), dtype=np.float32)
        for channel in range(CHANNELS):
            table[channel, pixels[:, channel].astype(np.int64)] = floats[:, channel]
        return table

    def _processed(
        self, image: Image.Image, *, scaled: bool, do_resize: bool = True
    ) -> tuple[np.ndarray, tuple[int, int, int]]:
        """Values [N, 3, 2, 196] of the processor, scaled and normalised if `scaled`."""
        switches: dict[str, Any] = {"do_resize": do_resize}
        if not scaled:
            switches |= {"do_rescale": False, "do_normalize": False}
        features = self._processor(images=[image], return_tensors="np", **switches)
        time, height, width = features["image_grid_thw"][0].tolist()
        values = features["pixel_values"].reshape(-1, CHANNELS, self._frames, self._pixels)
        return values, (time, height, width)
