from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from tests.support.tiny import PATCH_WIDTH, noise_picture
from vlm_uec.data.uint8_pixels import UInt8PixelProcessor
from vlm_uec.data.vision import extract_patches, load_image_processor

SIZES = [(84, 84), (200, 60), (31, 97), (500, 400), (56, 56), (1500, 1200)]


@pytest.mark.parametrize("budget", [(56 * 56, 112 * 112), (262_144, 4_194_304)])
def test_patches_equal_the_processors_bit_for_bit(bundle: Path, budget: tuple[int, int]) -> None:
    processor = load_image_processor(str(bundle), *budget)
    pictures = [noise_picture(*size, seed=seed) for seed, size in enumerate(SIZES)]
    pixel_processor = UInt8PixelProcessor(processor)
    patches, grid = pixel_processor.pixel_values(
        [pixel_processor.uint8_pixels(picture) for picture in pictures]
    )
    expected, expected_grid = extract_patches(pictures, processor)
    assert torch.equal(patches, expected)
    assert torch.equal(grid, expected_grid)
    assert (patches.dtype, grid.dtype) == (torch.float32, torch.int64)


def test_a_processor_without_normalisation() -> None:
    processor = Qwen2VLImageProcessorPil(min_pixels=28 * 28, do_normalize=False)
    pixel_processor = UInt8PixelProcessor(processor)
    patches, _ = pixel_processor.pixel_values(
        [pixel_processor.uint8_pixels(Image.new("RGB", (28, 28), (255, 51, 0)))]
    )
    channels = torch.tensor([1.0, 0.2, 0.0])[:, None].expand(4, 3, 392)
    assert torch.allclose(patches.view(4, 3, 392), channels)


def test_pixels_take_one_byte_per_channel(image_processor: Qwen2VLImageProcessorPil) -> None:
    """56 x 84 pixels are 4 x 6 patches; the first patch is the upper left corner, row by row."""
    picture = noise_picture(84, 56)
    pixels = UInt8PixelProcessor(image_processor).uint8_pixels(picture)
    assert pixels.image_grid_thw == (1, 4, 6)
    assert pixels.values.nbytes == 56 * 84 * 3
    corner = np.asarray(picture)[:14, :14].transpose(2, 0, 1).reshape(3, 196)
    assert np.array_equal(pixels.values[0], corner)


def test_no_pictures_give_no_patches(image_processor: Qwen2VLImageProcessorPil) -> None:
    patches, grid = UInt8PixelProcessor(image_processor).pixel_values([])
    assert (patches.shape, grid.shape) == ((0, PATCH_WIDTH), (0, 3))
