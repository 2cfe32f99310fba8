"""A random Qwen2.5-VL of a few thousand parameters, and random prompts, responses and pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import BytesIO

import torch
from PIL import Image
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from vlm_uec.data.positions import mrope_positions
from vlm_uec.model.load import NOTHING_FROZEN, FrozenParts
from vlm_uec.model.policy import Policy
from vlm_uec.types import EncodedPrompt, Response

VOCABULARY = 96
END, IMAGE_PAD = 1, 90
BANNED = (90, 91, 92, 93, 94, 95)
VISION = FrozenParts(tower=True, projector=True)
PATCH_WIDTH = 3 * 2 * 14 * 14


def tiny_config(*, tied: bool, head: int = 12) -> Qwen2_5_VLConfig:
    """Two text layers and two vision layers, the first of which attends in 56-pixel windows.

    `head`: size of a text head, a multiple of 6; GPU kernels need at least 16.
    """
    hidden, pairs = 4 * head, head // 6
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": VOCABULARY,
            "hidden_size": hidden,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [pairs] * 3},
            "tie_word_embeddings": tied,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": hidden,
            "fullatt_block_indexes": [1],
            "window_size": 56,
        },
        image_token_id=IMAGE_PAD,
        video_token_id=91,
        vision_start_token_id=92,
        vision_end_token_id=93,
        tie_word_embeddings=tied,
    )


def tiny_model(*, tied: bool = True, seed: int = 0, head: int = 12) -> Qwen2_5_VLForConditionalGeneration:
    """Weights have std 1 / sqrt(fan_in): the usual 0.02 would give flat logits that hide errors."""
    torch.manual_seed(seed)
    config = tiny_config(tied=tied, head=head)
    config._attn_implementation = "sdpa"
    model = Qwen2_5_VLForConditionalGeneration(config).float()
    draw_weights(model)
    return model


@torch.no_grad()
def draw_weights(model: torch.nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            parameter.normal_(std=1 / math.sqrt(parameter[0].numel()))
        elif name.endswith("bias"):
            parameter.normal_(std=0.1)


def banned_mask() -> torch.Tensor:
    mask = torch.zeros(VOCABULARY, dtype=torch.bool)
    mask[list(BANNED)] = True
    return mask


def tiny_policy(*, tied: bool = True, frozen: FrozenParts = NOTHING_FROZEN, seed: int = 0) -> Policy:
    return Policy(tiny_model(tied=tied, seed=seed), banned_mask(), frozen)


def random_prompt(
    name: str, grids: Sequence[tuple[int, int]] = (), *, text: int = 5, seed: int = 0
) -> EncodedPrompt:
    """A prompt of `text` words before, between and after pictures of (height, width) patches."""
    generator = torch.Generator().manual_seed(seed)

    def words() -> torch.Tensor:
        return torch.randint(2, 80, (text,), generator=generator)

    pieces = [words()]
    for height, width in grids:
        pieces += [torch.full((height * width // 4,), IMAGE_PAD), words()]
    grid = torch.tensor([(1, *size) for size in grids], dtype=torch.int64).reshape(-1, 3)
    patches = torch.randn(int(grid.prod(dim=1).sum()), PATCH_WIDTH, generator=generator)
    ids = torch.cat(pieces)
    return EncodedPrompt(name, ids, patches, grid, mrope_positions(ids, grid, IMAGE_PAD, 2))


def random_response(length: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2, 80, (length,), generator=generator)


def mismatch(response: Response) -> torch.Tensor:
    """Size of each token's difference in log-prob between sampler and policy, of a vLLM response."""
    assert response.mismatch is not None
    return response.mismatch.abs()


def encoded(image: Image.Image, form: str = "PNG") -> bytes:
    buffer = BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def noise_picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Random pixels, so that every resize and crop changes them."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (height, width, 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(pixels.numpy(), "RGB")
