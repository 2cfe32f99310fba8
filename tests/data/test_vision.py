from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from tests.support.tiny import PATCH_WIDTH, encoded, noise_picture
from vlm_uec.data.decode import decode_image
from vlm_uec.data.vision import extract_patches, images_from_messages, load_image_processor
from vlm_uec.errors import UserError


def _pixels(image: Image.Image) -> list[tuple[int, ...]]:
    assert image.mode == "RGB"
    return [tuple(pixel) for row in np.asarray(image).tolist() for pixel in row]


def _png(width: int, height: int, raw: bytes) -> bytes:
    """An RGB file whose header states width x height, independent of the size of `raw`."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(raw))
        + chunk(b"IEND", b"")
    )


# --- decoding ---------------------------------------------------------------------------------------------


def test_rgb_pixels_are_exact() -> None:
    picture = noise_picture(19, 11)
    assert decode_image(encoded(picture)).tobytes() == picture.tobytes()


def test_transparency_becomes_white() -> None:
    """Alpha 0 is white, alpha 255 is the colour, and red with alpha 51 (a fifth) is 255, 204, 204."""
    image = Image.new("RGBA", (3, 1))
    image.putdata([(0, 0, 0, 0), (10, 20, 30, 255), (255, 0, 0, 51)])
    assert _pixels(decode_image(encoded(image))) == [(255, 255, 255), (10, 20, 30), (255, 204, 204)]


def test_transparent_grey_becomes_white() -> None:
    image = Image.new("LA", (2, 1))
    image.putdata([(0, 0), (90, 255)])
    assert _pixels(decode_image(encoded(image))) == [(255, 255, 255), (90, 90, 90)]


def test_a_transparent_palette_entry_becomes_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 40, 50, 60])
    image.putdata([0, 1])
    image.info["transparency"] = 0
    assert _pixels(decode_image(encoded(image))) == [(255, 255, 255), (40, 50, 60)]


def test_black_and_white_and_grey_pictures() -> None:
    assert _pixels(decode_image(encoded(Image.new("1", (1, 1), 1)))) == [(255, 255, 255)]
    assert _pixels(decode_image(encoded(Image.new("L", (1, 1), 7)))) == [(7, 7, 7)]


def test_sixteen_bit_grey_keeps_its_shades() -> None:
    """Multiples of 257 become 0, 128 and 255 in eight bits."""
    image = Image.fromarray(np.array([[0, 128 * 257, 65535]], dtype=np.uint16))
    assert _pixels(decode_image(encoded(image))) == [(0, 0, 0), (128, 128, 128), (255, 255, 255)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        encoded(noise_picture(30, 30))[:200],
        encoded(noise_picture(30, 30), "JPEG")[:300],
        b"\x89PNG\r\n\x1a\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
    ],
    ids=["empty", "text", "cut PNG", "cut JPEG", "signature only", "PostScript"],
)
def test_broken_bytes_raise_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a readable picture"):
        decode_image(data)


@pytest.mark.parametrize(("width", "height"), [(8001, 8000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_refused_by_its_header(width: int, height: int) -> None:
    with pytest.raises(ValueError, match=r"over 64000000|decompression bomb"):
        decode_image(_png(width, height, bytes(10)))


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_damaged_bytes_raise_only_value_errors(form: str) -> None:
    intact, rng = encoded(noise_picture(24, 18), form), Random(0)
    for _ in range(300):
        data = bytearray(intact)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(rng.choice([60, len(data)]))] = rng.randrange(256)
        try:
            assert decode_image(bytes(data)).mode == "RGB"
        except ValueError:
            continue


# --- patches ----------------------------------------------------------------------------------------------

SIZES = [(84, 84), (200, 60), (31, 97), (500, 400), (56, 56)]


def test_patches_equal_the_hugging_face_processors(bundle: Path) -> None:
    pictures = [noise_picture(*size, seed=seed) for seed, size in enumerate(SIZES)]
    expected = Qwen2VLImageProcessorPil.from_pretrained(
        bundle, size={"shortest_edge": 56 * 56, "longest_edge": 112 * 112}
    )(images=pictures, return_tensors="pt")
    decoded = [decode_image(encoded(picture)) for picture in pictures]
    patches, grid = extract_patches(decoded, load_image_processor(str(bundle), 56 * 56, 112 * 112))
    assert torch.equal(patches, expected["pixel_values"])
    assert torch.equal(grid, expected["image_grid_thw"])
    assert (patches.dtype, grid.dtype) == (torch.float32, torch.int64)


def test_patches_of_a_batch_equal_those_of_single_pictures(image_processor: Qwen2VLImageProcessorPil) -> None:
    pictures = [noise_picture(*size) for size in SIZES]
    batched, _ = extract_patches(pictures, image_processor)
    single = [extract_patches([picture], image_processor)[0] for picture in pictures]
    assert torch.equal(batched, torch.cat(single))


def test_a_white_picture_is_normalised() -> None:
    """(1 - mean) / std of CLIP, channel by channel; a patch is [channel, time, row, column]."""
    patches, grid = extract_patches(
        [Image.new("RGB", (56, 28), "white")], Qwen2VLImageProcessorPil(min_pixels=56 * 28)
    )
    white = [(1 - 0.48145466) / 0.26862954, (1 - 0.4578275) / 0.26130258, (1 - 0.40821073) / 0.27577711]
    assert grid.tolist() == [[1, 2, 4]]
    assert torch.allclose(patches.view(8, 3, 2 * 14 * 14), torch.tensor(white)[:, None].expand(8, 3, 392))


@pytest.mark.parametrize("size", [*SIZES, (3, 3), (900, 10), (10, 900)])
@pytest.mark.parametrize("budget", [(28 * 28, 56 * 56), (56 * 56, 112 * 112), (200 * 200, 400 * 400)])
def test_the_pixel_budget_is_respected(bundle: Path, size: tuple[int, int], budget: tuple[int, int]) -> None:
    low, high = budget
    _, grid = extract_patches([noise_picture(*size)], load_image_processor(str(bundle), low, high))
    _, height, width = grid[0].tolist()
    assert height % 2 == width % 2 == 0
    assert height * width * 196 >= low
    if max(size) < 4 * min(size):  # the shorter side of a long strip stays 28 pixels, for any budget
        assert height * width * 196 <= high


def test_the_runs_budget_replaces_the_models(tmp_path: Path) -> None:
    """Published processors have two formats: a size, or min and max pixels."""
    config = '{"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 14, "merge_size": 2, '
    for model_budget in (
        '"size": {"shortest_edge": 3136, "longest_edge": 12845056}}',
        '"min_pixels": 3136, "max_pixels": 12845056}',
    ):
        (tmp_path / "preprocessor_config.json").write_text(config + model_budget)
        processor = load_image_processor(str(tmp_path), 56 * 56, 84 * 84)
        pictures = [noise_picture(300, 300), noise_picture(28, 28)]
        assert extract_patches(pictures, processor)[1].tolist() == [[1, 6, 6], [1, 4, 4]]


def test_no_pictures_give_no_patches(image_processor: Qwen2VLImageProcessorPil) -> None:
    patches, grid = extract_patches([], image_processor)
    assert (patches.shape, grid.shape) == ((0, PATCH_WIDTH), (0, 3))


def test_the_error_for_missing_torchvision_names_it(
    image_processor: Qwen2VLImageProcessorPil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "qwen_vl_utils", raising=False)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(UserError, match="need torchvision"):
        images_from_messages([{"role": "user", "content": "x"}], image_processor)
