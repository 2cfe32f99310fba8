"""Sizes of a Qwen2.5-VL or Qwen2.5 model from its config, without reading weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Qwen2_5_VLConfig, Qwen2Config

from vlm_uec.errors import UserError
from vlm_uec.hub import exists_locally
from vlm_uec.model.load import MODEL_CLASSES, UnreadableModel, read_model_config, vision_tower

# From config.json of Qwen/Qwen2.5-VL-{3B,7B,32B,72B}-Instruct, for use without the Hub.
_FIELDS = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
)
PUBLISHED: Mapping[str, tuple[int, ...]] = {
    "3B": (2048, 11_008, 36, 16, 2, 151_936),
    "7B": (3584, 18_944, 28, 28, 4, 152_064),
    "32B": (5120, 27_648, 64, 40, 8, 152_064),
    "72B": (8192, 29_568, 80, 64, 8, 152_064),
}
# The text models of these sizes have the same text layers.
_PUBLISHED_ID = re.compile(r"Qwen/Qwen2\.5-(?P<kind>(VL-|Math-)?)(?P<size>\d+B)(-Instruct)?")
_TIED = ("3B",)
_POSITIONS = 128_000  # of Qwen2.5-VL
_TEXT_POSITIONS = {"Math-": 4096, "": 32_768}
_WIDE_TOWER = ("32B", "72B")


@dataclass(frozen=True)
class ModelShape:
    """Numbers of weights, and the sizes that determine activations and caches."""

    weights: int
    tower_weights: int  # with the projector
    projector_weights: int
    hidden: int
    intermediate: int
    layers: int
    key_values: int  # KV heads times head size: floats per layer and position, for keys and for values each
    vocabulary: int
    max_positions: int
    tower_hidden: int
    tower_intermediate: int
    tower_layers: int


def model_shape(path: str) -> ModelShape | None:
    """The shape of a published model (without the Hub), of a directory, or of a Hub id in the local cache.

    None for a Hub id that is not on this machine. Raises `UserError` if `path` is neither a Qwen2.5-VL nor a
    Qwen2.5 model.
    """
    if (known := _PUBLISHED_ID.fullmatch(path)) and known["size"] in PUBLISHED:
        if known["kind"] == "VL-":
            return shape_of(published_config(known["size"]))
        text = published_sizes(known["size"])[0]
        return shape_of(Qwen2Config(**{**text, "max_position_embeddings": _TEXT_POSITIONS[known["kind"]]}))
    try:
        config = read_model_config(path)
    except UnreadableModel:
        if exists_locally(path):
            raise
        return None
    try:
        return shape_of(config)
    except (ArithmeticError, RuntimeError, ValueError, TypeError) as error:
        raise UserError(
            f"model.path {path}: no model can be built from its config.json ({error}); mend it"
        ) from error


def published_config(size: str) -> Qwen2_5_VLConfig:
    """The config of a key of `PUBLISHED`, with sizes only and without token ids."""
    text, tower = published_sizes(size)
    return Qwen2_5_VLConfig(
        text_config=text, vision_config=tower, tie_word_embeddings=text["tie_word_embeddings"]
    )


def published_sizes(size: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parts of a published config.json that differ from Qwen2.5-VL's defaults: text model and tower."""
    text: dict[str, Any] = dict(zip(_FIELDS, PUBLISHED[size], strict=True))
    tower = {
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3456 if size in _WIDE_TOWER else 3420,
        "num_heads": 16,
        "out_hidden_size": text["hidden_size"],
    }
    text |= {"tie_word_embeddings": size in _TIED, "max_position_embeddings": _POSITIONS}
    return text, tower


def shape_of(config: Any) -> ModelShape:
    """Counts the weights of a model on the meta device."""
    with torch.device("meta"):
        model = MODEL_CLASSES[config.model_type](config)
    text, tower, vision = (
        config.get_text_config(),
        getattr(config, "vision_config", None),
        vision_tower(model),
    )
    head_size = text.hidden_size // text.num_attention_heads
    return ModelShape(
        weights=_count(model),
        tower_weights=_count(vision) if vision else 0,
        projector_weights=_count(vision.merger) if vision else 0,
        hidden=text.hidden_size,
        intermediate=text.intermediate_size,
        layers=text.num_hidden_layers,
        key_values=text.num_key_value_heads * head_size,
        vocabulary=text.vocab_size,
        max_positions=text.max_position_embeddings,
        tower_hidden=tower.hidden_size if tower else 0,
        tower_intermediate=tower.intermediate_size if tower else 0,
        tower_layers=tower.depth if tower else 0,
    )


def _count(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())
