"""Thumbnails keep the aspect ratio and the size limit."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.support.tiny import encoded, noise_picture
from vlm_uec.webpage.thumbnail import MAX_BYTES, thumbnail


def size(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size


def test_thumbnails_keep_the_aspect_ratio() -> None:
    line_drawing = Image.new("RGB", (1600, 800), "white")
    for picture, shape in [
        (line_drawing, (320, 160)),
        (noise_picture(56, 56), (56, 56)),
        (noise_picture(640, 640), (320, 320)),
    ]:
        data = thumbnail(encoded(picture))
        assert size(data) == shape and len(data) <= MAX_BYTES


def test_drawings_are_png_and_photographs_jpeg() -> None:
    assert thumbnail(encoded(Image.new("RGB", (1600, 800), "white"))).startswith(b"\x89PNG")
    assert thumbnail(encoded(noise_picture(400, 400))).startswith(b"\xff\xd8")


def test_picture_is_shrunk_if_lower_quality_is_not_enough() -> None:
    noise = encoded(noise_picture(640, 320))
    data = thumbnail(noise, max_bytes=5000)
    assert len(data) <= 5000
    width, height = size(data)
    assert width < 320 and width == 2 * height


def test_invalid_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="not a readable picture"):
        thumbnail(b"<svg/>")
