"""Opens pictures, without importing model libraries.

Training, evaluation and pages all open pictures here, so they have the same pixels: upright, and on white.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import ExifTags, Image

MAX_PICTURE_BYTES = 32 * 2**20
# Four times the largest common budget (4096 x 28 x 28), and far below a decompression bomb.
MAX_PICTURE_PIXELS = 64_000_000
MAX_ASPECT_RATIO = 200  # Qwen's image processors refuse more

# Without this list, PIL would run Ghostscript on a PostScript file.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_SIGNATURES = (
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"GIF87a", b"GIF89a", b"BM",
    b"II*\0", b"MM\0*", b"II+\0", b"MM\0+",
)  # fmt: skip
# Pillow's decoders raise any of these on malformed bytes.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    AttributeError,
    EOFError,
    struct.error,
    zlib.error,
)
# EXIF 2.32, tag 274: how to turn the stored rows upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BITS_PER_SAMPLE, _PHOTOMETRIC, _BLACK_IS_ZERO = 258, 262, 1  # TIFF 6.0


class PictureError(ValueError):
    """The picture cannot be used; `reason` is the text under which its row is counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"not a readable picture: {reason}")
        self.reason = reason


def decode_image(data: bytes) -> Image.Image:
    """The upright RGB picture of PNG, JPEG, WebP, BMP or TIFF bytes, or of the first frame of a GIF.

    The EXIF orientation is applied. Transparent parts become white, the background of a diagram on paper.

    Raises `PictureError` for other formats, damaged bytes, 32-bit samples, or sizes over the limits.
    """
    with _opened(data) as image:
        image.load()
        if image.mode.startswith("I;16"):
            return upright(_sixteen_bit_grey(image).convert("RGB"), image)
        if image.mode in ("I", "F"):
            raise PictureError("picture with 32-bit or signed samples")
        return upright(_on_white(image, data), image)


def picture_defect(data: bytes, decode: bool = False) -> str | None:
    """Why encoded bytes cannot be used as a picture, or None; `decode`: also decode the pixels."""
    try:
        if decode:
            decode_image(data)
        else:
            with _opened(data):
                pass
    except PictureError as error:
        return error.reason
    return None


def upright(image: Image.Image, stored: Image.Image) -> Image.Image:
    """`image`, turned by the EXIF orientation of the loaded picture `stored`, if it has one."""
    try:
        orientation = stored.getexif().get(ExifTags.Base.Orientation)
    except _DECODER_ERRORS:  # damaged metadata do not make the pixels unusable
        orientation = None
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """The picture, of which only the header is read. Raises PictureError, also while it is open."""
    if not data:
        raise PictureError("zero-size picture")
    if len(data) > MAX_PICTURE_BYTES:
        raise PictureError(f"picture over {MAX_PICTURE_BYTES} bytes")
    if not data.startswith(_SIGNATURES):
        raise PictureError("picture is not PNG, JPEG, WebP, GIF, BMP or TIFF")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on damaged metadata
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                _check_size(image)
                yield image
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(f"picture over {MAX_PICTURE_PIXELS} pixels") from error
    except _DECODER_ERRORS as error:
        raise PictureError("broken picture") from error


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PICTURE_PIXELS:
        raise PictureError(f"picture over {MAX_PICTURE_PIXELS} pixels")
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise PictureError(f"picture sides beyond {MAX_ASPECT_RATIO}:1")


def _sixteen_bit_grey(image: Image.Image) -> Image.Image:
    """The nearest 8-bit shades: PIL's own conversion clips at 255 and makes a drawing completely white."""
    tags: Any = getattr(image, "tag_v2", None)
    if tags is not None and (tags.get(_BITS_PER_SAMPLE), tags.get(_PHOTOMETRIC)) != ((16,), _BLACK_IS_ZERO):
        raise PictureError("picture with 12-bit or inverted 16-bit samples")
    shades = ((np.arange(2**16) + 128) // 257).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        shades[transparent] = 255
    return Image.fromarray(shades[np.asarray(image)])


def _on_white(image: Image.Image, data: bytes) -> Image.Image:
    if image.mode not in ("RGBA", "LA", "PA", "RGBa", "La") and "transparency" not in image.info:
        return image.convert("RGB")
    if image.format == "PNG" and (depth := data[24]) != 8:
        if image.mode == "RGB":
            return _clear_colour(image, data)
        if image.mode == "L":
            # PIL scales the samples to eight bits, but not the transparent one.
            image.info["transparency"] *= 255 // (2**depth - 1)
    layer = image.convert("RGBA")
    paper = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    return Image.alpha_composite(paper, layer).convert("RGB")


def _clear_colour(image: Image.Image, data: bytes) -> Image.Image:
    """A PNG of 16-bit colours, with its one transparent colour made white.

    PIL keeps only the high byte of a sample. In the other byte order, it keeps the low byte.
    """
    with Image.open(io.BytesIO(data), formats=("PNG",)) as again:
        again.tile = [tile._replace(args="RGB;16L") for tile in again.tile]
        again.load()
        samples = np.asarray(image).astype(np.uint16) * 256 + np.asarray(again)
    pixels = np.array(image)
    pixels[(samples == image.info["transparency"]).all(axis=2)] = 255
    return Image.fromarray(pixels)
