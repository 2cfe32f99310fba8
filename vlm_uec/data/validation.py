"""Validation of problems: texts, picture marks and pictures."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image

from vlm_uec.types import Problem

IMAGE_MARK = "<image>"
MAX_TEXT_CHARACTERS = 20_000
MAX_PICTURE_BYTES = 32 * 2**20
# Four times the largest common budget (4096 x 28 x 28), and far below a decompression bomb.
MAX_PICTURE_PIXELS = 64_000_000
MAX_ASPECT_RATIO = 200  # Qwen's image processors refuse more

_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
# Pillow's decoders raise any of these on malformed bytes.
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    EOFError,
    struct.error,
    zlib.error,
)


class InvalidRow(ValueError):
    """A row cannot be used: the reason, under which it is counted, and the start of the value at fault."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail[:200]


def problem_defect(problem: Problem) -> str | None:
    """Why a problem cannot be trained on, or None. Only the headers of pictures are read."""
    texts = (problem.id, problem.question, problem.answer, *problem.choices)
    if not problem.question.replace(IMAGE_MARK, "").strip():
        return "empty question"
    if not problem.answer.strip():
        return "empty answer"
    if any(len(text) > MAX_TEXT_CHARACTERS for text in texts):
        return f"text over {MAX_TEXT_CHARACTERS} characters"
    if not all(_is_unicode(text) for text in texts):
        return "text is not valid Unicode"
    if problem.question.count(IMAGE_MARK) != len(problem.images):
        return f"number of {IMAGE_MARK} differs from number of pictures"
    return next(filter(None, map(picture_defect, problem.images)), None)


def picture_defect(data: bytes, decode: bool = False) -> str | None:
    """Why encoded PNG or JPEG bytes cannot be used, or None; `decode`: also decode the pixels."""
    if not data:
        return "zero-size picture"
    if len(data) > MAX_PICTURE_BYTES:
        return f"picture over {MAX_PICTURE_BYTES} bytes"
    if not data.startswith(_SIGNATURES):
        return "picture is neither PNG nor JPEG"
    try:
        return _pixel_defect(data, decode)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return f"picture over {MAX_PICTURE_PIXELS} pixels"
    except DECODER_ERRORS:
        return "broken picture"


def _pixel_defect(data: bytes, decode: bool) -> str | None:
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
        width, height = image.size
        if width * height > MAX_PICTURE_PIXELS:
            return f"picture over {MAX_PICTURE_PIXELS} pixels"
        if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
            return f"picture sides beyond {MAX_ASPECT_RATIO}:1"
        if decode:
            image.load()
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
