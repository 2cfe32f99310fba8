"""Compares pictures named in chat messages with the same pictures given as bytes, in a subprocess."""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

import torch
from PIL import ExifTags, Image

import tests.support.parity.torchvision_shim  # noqa: F401  (before transformers looks for torchvision)
from tests.support.tiny import encoded, noise_picture
from vlm_uec.data.chat import FormatPrompt
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.types import EncodedPrompt, Problem

TOLERANCE = 0.02  # in units of the normalised pixel
SIZES = [(84, 84), (300, 200), (31, 97), (640, 480), (20, 20), (200, 60)]


def compare(size: tuple[int, int], ours: EncodedPrompt, theirs: EncodedPrompt) -> float:
    """The largest difference of a pixel; everything else must be equal."""
    for name in ("input_ids", "image_grid_thw", "position_ids"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), (size, name)
    difference = float((ours.pixel_values - theirs.pixel_values).abs().max())
    assert difference <= TOLERANCE, (size, difference)
    return difference


def _on_its_side(encoder: PromptEncoder, scratch: Path) -> tuple[EncodedPrompt, EncodedPrompt]:
    """A picture with EXIF orientation 6, of a size that is not resized."""
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    noise_picture(84, 56).save(buffer, "JPEG", exif=exif)
    file = scratch / "side.jpg"
    file.write_bytes(buffer.getvalue())
    problem = Problem("side", "<image>?", "1", (buffer.getvalue(),))
    content = [
        {"type": "image", "image": str(file)},
        {"type": "text", "text": FormatPrompt()(problem).removeprefix("<image>")},
    ]
    return encoder(problem), encoder.encode_messages("chat", [{"role": "user", "content": content}])


def main(bundle: str, scratch: Path) -> None:
    processor = {"min_pixels": 56 * 56, "max_pixels": 224 * 224}
    encoder = PromptEncoder.from_pretrained(bundle, template=None, max_prompt_tokens=2048, **processor)
    worst = 0.0
    for seed, size in enumerate(SIZES):
        data = encoded(noise_picture(*size, seed=seed))
        problem = Problem(f"p{seed}", "<image>Find x, or <image>?", "1", (data, data))
        file = scratch / f"{seed}.png"
        file.write_bytes(data)
        inline = "data:image/png;base64," + base64.b64encode(data).decode()
        question = FormatPrompt()(problem).split("<image>")
        content = [
            {"type": "image", "image": str(file)},
            {"type": "text", "text": question[1]},
            {"type": "image", "image": inline},
            {"type": "text", "text": question[2]},
        ]
        theirs = encoder.encode_messages("chat", [{"role": "user", "content": content}])
        worst = max(worst, compare(size, encoder(problem), theirs))
    compare((84, 56), *_on_its_side(encoder, scratch))
    print(f"largest difference {worst:.5f}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
