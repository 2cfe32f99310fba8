"""Converts pictures to patches, always with the PIL backend.

PIL and torchvision resize pictures with differences of up to 0.015 per pixel, so a run uses one backend.
Pictures limits as bytes need neither torchvision nor qwen_vl_utils; pictures in chat messages (URL or base64)
are read by `qwen_vl_utils`, which needs torchvision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from vlm_uec.data.decode import upright
from vlm_uec.errors import UserError


def load_image_processor(
    model_path: str, min_pixels: int | None, max_pixels: int | None
) -> Qwen2VLImageProcessorPil:
    """The model's image processor; limits that are not None replace the model's own pixel budget."""
    budget = {"min_pixels": min_pixels, "max_pixels": max_pixels}
    limits: dict[str, Any] = {name: pixels for name, pixels in budget.items() if pixels is not None}
    return Qwen2VLImageProcessorPil.from_pretrained(model_path, **limits)


def extract_patches(
    images: Sequence[Image.Image], processor: Qwen2VLImageProcessorPil
) -> tuple[torch.Tensor, torch.Tensor]:
    """Patches [N, 1176] float32 and grid [images, 3] int64 (time, height, width in patches)."""
    if not images:
        width = 3 * processor.temporal_patch_size * processor.patch_size**2
        return torch.zeros(0, width), torch.zeros(0, 3, dtype=torch.int64)
    features = processor(images=list(images), return_tensors="pt")
    # A copy in memory of torch: the alignment of numpy's memory varies, and the last bits of a matrix product
    # can depend on the alignment of its operands.
    return features["pixel_values"].clone(), features["image_grid_thw"]


def images_from_messages(
    messages: Sequence[Mapping[str, Any]], processor: Qwen2VLImageProcessorPil
) -> list[Image.Image]:
    """Loads the pictures of chat messages (paths, URLs, base64) in order, through `qwen_vl_utils`.

    `qwen_vl_utils` resizes them to the processor's pixel budget, so `extract_patches` does not resize them
    again. Raises `UserError` if torchvision, which qwen_vl_utils imports, is missing.
    """
    try:
        from qwen_vl_utils import process_vision_info
    except (ImportError, RuntimeError) as error:
        raise UserError(
            f"pictures in chat messages need torchvision, which cannot be imported ({error}); "
            "install it, or give the pictures as bytes in the data set"
        ) from error
    budget = {"min_pixels": processor.size["shortest_edge"], "max_pixels": processor.size["longest_edge"]}
    bounded = [dict(message, content=_with_budget(message["content"], budget)) for message in messages]
    images, videos = process_vision_info(bounded, image_patch_size=processor.patch_size)
    if videos:
        raise UserError("videos in chat messages are not supported; remove them or give frames as pictures")
    # qwen_vl_utils resizes pictures as stored, and keeps their EXIF data.
    return [upright(image, image) for image in images or []]


def _with_budget(content: str | Sequence[Mapping[str, Any]], budget: Mapping[str, int]) -> Any:
    if isinstance(content, str):
        return content
    return [part if "text" in part else {**budget, **part} for part in content]
