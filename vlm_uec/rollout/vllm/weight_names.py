"""The policy's weights under the names that vLLM loads: those of the published language model."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from vlm_uec.model.adapters import adapter_scale, merge_adapters

_LANGUAGE, _TOWER = "model.language_model.", "model.visual."


def language_weights(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The language model's weights with adapters merged, under the names of published checkpoints.

    The vision tower is not included: vLLM receives picture features. A tied head is sent as the embedding.
    """
    weights = {name: weight.data for name, weight in model.named_parameters() if not name.startswith(_TOWER)}
    for name, weight in merge_adapters(weights, adapter_scale(model)):
        yield f"model.{name.removeprefix(_LANGUAGE)}" if name.startswith(_LANGUAGE) else name, weight
