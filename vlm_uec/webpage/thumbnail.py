"""Small copies of pictures for pages."""

from __future__ import annotations

import io
from itertools import product

from PIL import Image

from vlm_uec.data.decode import decode_image

MAX_BYTES = 40_000
_SIDES = (320, 224, 160, 96)  # pixels of the longer side
_QUALITIES = (88, 70, 45, 20)


def thumbnail(data: bytes, max_bytes: int = MAX_BYTES) -> bytes:
    """PNG or JPEG, whichever is smaller, of at most `max_bytes` if possible.

    To reach the limit, the quality is reduced first, then the size. Raises `ValueError` if `data` is not a
    picture.
    """
    image = decode_image(data)
    smallest = data
    for side, quality in product(_SIDES, _QUALITIES):
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        if quality == _QUALITIES[0]:
            drawing = _encode(image, "PNG", optimize=True)
        smallest = min(drawing, _encode(image, "JPEG", quality=quality), key=len)
        if len(smallest) <= max_bytes:
            break
    return smallest


def _encode(image: Image.Image, form: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()
