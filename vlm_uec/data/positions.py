"""M-RoPE positions (Qwen2-VL, arXiv 2409.12191, section 2.1): consecutive for text, a grid for a picture.

Computed on the CPU and always passed to the model: without `mm_token_type_ids`, transformers would silently
fall back to one-dimensional positions.
"""

from __future__ import annotations

import torch


def mrope_positions(
    input_ids: torch.Tensor, grid: torch.Tensor, image_pad_id: int, merge_size: int
) -> torch.Tensor:
    """Positions [3, P] int64 (time, height, width) of prompt ids [P] with expanded placeholders.

    A picture of h x w merged patches starting at position p has time p, heights p .. p+h-1 and widths
    p .. p+w-1; the text after it starts at p + max(h, w).

    Raises `ValueError` if the placeholders do not match the grid.
    """
    pieces: list[torch.Tensor] = []
    start = position = 0
    is_image = (input_ids == image_pad_id).tolist()
    for time, height, width in (grid // torch.tensor([1, merge_size, merge_size])).tolist():
        try:
            first = is_image.index(True, start)
        except ValueError:
            raise ValueError(f"{grid.shape[0]} pictures, but fewer runs of image placeholders") from None
        count = time * height * width
        if sum(is_image[first : first + count]) < count:
            raise ValueError(f"a picture of {count} tokens has fewer image placeholders")
        pieces.append(_text_positions(position, first - start))
        position += first - start
        pieces.append(_grid_positions(position, time, height, width))
        position += max(height, width)
        start = first + count
    if any(is_image[start:]):
        raise ValueError(f"more image placeholders than the {grid.shape[0]} pictures have patches")
    pieces.append(_text_positions(position, len(is_image) - start))
    return torch.cat(pieces, dim=1)


def _text_positions(start: int, count: int) -> torch.Tensor:
    return torch.arange(start, start + count).expand(3, count)


def _grid_positions(start: int, time: int, height: int, width: int) -> torch.Tensor:
    axes = torch.meshgrid(torch.arange(time), torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([axis.reshape(-1) for axis in axes]) + start
