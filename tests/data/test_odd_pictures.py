"""Pictures of every mode, depth and transparency equal an independent reading."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from tests.support.png import COLOUR, COLOUR_ALPHA, GREY, GREY_ALPHA, PALETTE, Pixel, Png, read_on_white
from vlm_uec.data.decode import PictureError, decode_image, picture_defect
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.types import Problem
from vlm_uec.webpage.thumbnail import thumbnail


def _grey_files() -> Iterator[tuple[str, Png]]:
    for depth in (1, 2, 4, 8, 16):
        top = 2**depth - 1
        row = [(0,), (top // 3,), (top // 2,), (top,), (top - top // 3,)]
        for name, key in [("", None), (" top clear", top), (" zero clear", 0), (" third clear", top // 3)]:
            yield f"grey {depth}{name}", Png(GREY, depth, [row], transparent=_key(key))
    yield "grey 16 as reported", Png(GREY, 16, [[(13000,), (65535,)]], transparent=_key(40000))


def _colour_files() -> Iterator[tuple[str, Png]]:
    for depth in (8, 16):
        top = 2**depth - 1
        row = [(0, 0, 0), (top, 0, top // 5), (top // 3, top // 2, top), (top, top, top)]
        for name, key in [
            ("", ()),
            (" black clear", row[0]),
            (" blue clear", row[2]),
            (" none clear", (1, 2, 3)),
        ]:
            yield f"colour {depth}{name}", Png(COLOUR, depth, [row], transparent=_key(*key))


def _palette_files() -> Iterator[tuple[str, Png]]:
    for depth in (1, 2, 4, 8):
        palette = [(40 * index % 256, 50, 255 - index) for index in range(min(2**depth, 200))]
        row = [(index,) for index in (0, 1, len(palette) - 1)]
        for name, alphas in [
            ("", b""),
            (" first clear", b"\0"),
            (" second clear", b"\xff\0"),
            (" shades", b"\x80\x33"),
        ]:
            yield f"palette {depth}{name}", Png(PALETTE, depth, [row], palette, alphas)


def _alpha_files() -> Iterator[tuple[str, Png]]:
    for depth in (8, 16):
        top = 2**depth - 1
        for name, alpha in [("clear", 0), ("opaque", top), ("a third", top // 3)]:
            grey = [(value, alpha) for value in (0, top // 4, top)]
            colour = [(0, top // 2, top, alpha), (top, top, 0, alpha)]
            yield f"grey {depth} {name}", Png(GREY_ALPHA, depth, [grey])
            yield f"colour {depth} {name}", Png(COLOUR_ALPHA, depth, [colour])


def _key(*samples: int | None) -> bytes:
    return b"".join(struct.pack(">H", sample) for sample in samples if sample is not None)


FILES = dict([*_grey_files(), *_colour_files(), *_palette_files(), *_alpha_files()])


def pixels(data: bytes) -> list[list[Pixel]]:
    return [[tuple(pixel) for pixel in row] for row in np.asarray(decode_image(data)).tolist()]


def difference(ours: Sequence[Sequence[Pixel]], theirs: Sequence[Sequence[Pixel]]) -> int:
    return int(np.abs(np.array(ours) - np.array(theirs)).max())


def test_there_are_enough_files() -> None:
    assert len(FILES) >= 40


@pytest.mark.parametrize("name", FILES)
def test_a_png_equals_the_independent_reading(name: str) -> None:
    file = FILES[name]
    data = file.encode()
    # Pillow drops the low byte of 16-bit colours, and rounds blended colours in its own way.
    is_rounded = (file.depth == 16 and file.kind != GREY) or "shades" in name or "a third" in name
    assert difference(pixels(data), read_on_white(data)) <= int(is_rounded)


# --- other formats ----------------------------------------------------------------------------------------

COLOURS = [[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (250, 250, 250)], [(9, 8, 7), (100, 0, 50)]]


def drawing(mode: str = "RGB") -> Image.Image:
    return Image.fromarray(np.array(COLOURS, dtype=np.uint8)).convert(mode)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_deflate"}),
        ("TIFF", {"big_tiff": True}),
        ("WEBP", {"lossless": True}),
        ("GIF", {}),
    ],
)
def test_lossless_formats_keep_the_pixels(form: str, options: dict[str, object]) -> None:
    assert pixels(saved(drawing(), form, **options)) == COLOURS


def test_the_first_frame_of_an_animation_is_used() -> None:
    frames = [Image.new("RGB", (2, 3), colour) for colour in ("red", "blue")]
    for form, options in [("GIF", {}), ("WEBP", {"lossless": True})]:
        data = saved(drawing(), form, save_all=True, append_images=frames, **options)
        assert pixels(data) == COLOURS


@pytest.mark.parametrize("form", ["WEBP", "TIFF", "GIF"])
def test_transparent_parts_of_other_formats_become_white(form: str) -> None:
    layer = drawing("RGBA")
    layer.putpixel((1, 2), (0, 0, 0, 0))
    data = saved(layer, form, **({"lossless": True} if form == "WEBP" else {}))
    assert pixels(data) == [*COLOURS[:2], [COLOURS[2][0], (255, 255, 255)]]


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_grey_of_a_tiff_keeps_its_shades(order: str) -> None:
    grey = np.array([[0, 13000, 65535]], dtype=f"{order}u2")
    mode = "I;16" if order == "<" else "I;16B"
    image = Image.frombytes(mode, (3, 1), grey.tobytes())
    assert pixels(saved(image, "TIFF")) == [[(0, 0, 0), (51, 51, 51), (255, 255, 255)]]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_samples_without_a_known_white_are_refused(mode: str) -> None:
    data = saved(Image.new(mode, (2, 2), 7), "TIFF")
    assert picture_defect(data, decode=True) == "picture with 32-bit or signed samples"
    with pytest.raises(ValueError, match="32-bit or signed samples"):
        decode_image(data)


def test_inverted_sixteen_bit_grey_is_refused() -> None:
    data = saved(Image.new("I;16", (2, 2), 7), "TIFF", tiffinfo={262: 0})
    assert picture_defect(data, decode=True) == "picture with 12-bit or inverted 16-bit samples"


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<2sIIIIIIHHIIIIII", b"BM", 99, 0, 54, 40, 20_000, 20_000, 1, 24, 0, 0, 0, 0, 0, 0),
        struct.pack("<6sHHBBB", b"GIF89a", 20_000, 20_000, 0, 0, 0)
        + struct.pack("<BHHHHB", 0x2C, 0, 0, 20_000, 20_000, 0x80)
        + bytes(9),
        b"RIFF" + struct.pack("<I4s4sII", 30, b"WEBP", b"VP8X", 10, 0) + b"\x1f\x4e\0\x1f\x4e\0" + bytes(8),
        b"II*\0\x08\0\0\0"
        + struct.pack("<H", 6)
        + b"".join(
            struct.pack("<HHII", tag, 4, 1, value)
            for tag, value in [(256, 20_000), (257, 20_000), (258, 8), (262, 1), (273, 8), (279, 4)]
        )
        + bytes(4),
    ],
    ids=["BMP", "GIF", "WEBP", "TIFF"],
)
def test_a_header_of_four_hundred_million_pixels_is_refused(data: bytes) -> None:
    assert picture_defect(data) == "picture over 64000000 pixels"


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "WEBP"])
def test_damaged_bytes_of_other_formats_raise_only_value_errors(form: str) -> None:
    intact, rng = saved(drawing(), form), Random(0)
    for _ in range(300):
        data = bytearray(intact[: rng.choice([len(intact), rng.randrange(4, len(intact))])])
        for _ in range(rng.randint(0, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            assert decode_image(bytes(data)).mode == "RGB"
        except PictureError:
            continue


# --- EXIF orientation -------------------------------------------------------------------------------------

# The letter F, as it must appear, and its stored rows for each orientation (EXIF 2.32: where row 0 and
# column 0 of the stored picture are in the upright one).
LETTER = ["###", "#..", "##.", "#.."]
STORED = {
    1: ["###", "#..", "##.", "#.."],  # top, left
    2: ["###", "..#", ".##", "..#"],  # top, right
    3: ["..#", ".##", "..#", "###"],  # bottom, right
    4: ["#..", "##.", "#..", "###"],  # bottom, left
    5: ["####", "#.#.", "#..."],  # left, top
    6: ["#...", "#.#.", "####"],  # right, top
    7: ["...#", ".#.#", "####"],  # right, bottom
    8: ["####", ".#.#", "...#"],  # left, bottom
}


def exif(orientation: int) -> bytes:
    entry = struct.pack("<HHIHH", 274, 3, 1, orientation, 0)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)


def letter(rows: Sequence[str], scale: int = 1) -> Image.Image:
    shades = np.array([[0 if mark == "#" else 255 for mark in row] for row in rows], dtype=np.uint8)
    return Image.fromarray(np.kron(shades, np.ones((scale, scale), dtype=np.uint8)))


def as_letter(image: Image.Image, scale: int = 1) -> list[str]:
    middle = np.asarray(image)[scale // 2 :: scale, scale // 2 :: scale, 0]
    return ["".join("#" if shade < 128 else "." for shade in row) for row in middle]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", STORED)
def test_pictures_are_turned_upright(orientation: int, form: str) -> None:
    stored = letter(STORED[orientation], 16)
    options: dict[str, object] = (
        {"tiffinfo": {274: orientation}} if form == "TIFF" else {"exif": b"Exif\0\0" + exif(orientation)}
    )
    data = saved(stored, form, **options)
    assert as_letter(decode_image(data), 16) == LETTER
    assert as_letter(Image.open(io.BytesIO(thumbnail(data))).convert("RGB"), 16) == LETTER


def test_a_jpeg_on_its_side_is_upright_in_the_prompt(bundle: Path) -> None:
    """200 x 100 pixels with orientation 6 are 100 x 200, and 28 x 28 pixels are a token."""
    data = saved(Image.new("RGB", (200, 100)), "JPEG", exif=b"Exif\0\0" + exif(6))
    assert decode_image(data).size == (100, 200)
    encoder = PromptEncoder.from_pretrained(
        str(bundle), min_pixels=1, max_pixels=10**6, max_prompt_tokens=999
    )
    prompt = encoder(Problem("p", "<image>?", "1", (data,)))
    assert prompt.image_grid_thw.tolist() == [[1, 14, 8]]  # 196 x 112 pixels in patches of 14


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_unknown_orientation_is_ignored(orientation: int) -> None:
    data = saved(letter(LETTER), "PNG", exif=exif(orientation))
    assert as_letter(decode_image(data)) == LETTER


def test_damaged_exif_data_are_ignored() -> None:
    for damage in (b"", b"II", b"II*\0\xff\xff\xff\x7f", b"\xff" * 99):
        data = saved(letter(LETTER, 16), "JPEG", exif=b"Exif\0\0" + damage)
        assert as_letter(decode_image(data), 16) == LETTER
