"""Decodes pictures, without importing model libraries."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from vlm_uec.data.validation import DECODER_ERRORS, MAX_PICTURE_PIXELS


def decode_image(data: bytes) -> Image.Image:
    """RGB picture of PNG or JPEG bytes; transparent parts become white, the background of a diagram on paper.

    Raises `ValueError` for other formats, damaged bytes, or more than `MAX_PICTURE_PIXELS` pixels.
    """
    try:
        # Without this list, PIL would run Ghostscript on a PostScript file.
        image: Image.Image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
        if image.width * image.height > MAX_PICTURE_PIXELS:
            raise ValueError(f"picture of {image.width} x {image.height} pixels is over {MAX_PICTURE_PIXELS}")
        image.load()
    except (*DECODER_ERRORS, Image.DecompressionBombError) as error:
        raise ValueError(f"not a readable picture: {error}") from error
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(paper, layer).convert("RGB")
    if image.mode == "I;16":
        # PIL's own conversion clips at 255 and makes a 16-bit drawing completely white.
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    return image.convert("RGB")
