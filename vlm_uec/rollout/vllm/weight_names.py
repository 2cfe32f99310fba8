"""The policy's weights as vLLM loads them: a plain language model's, under published names."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from vlm_uec.model.adapters import adapter_scale, merge_adapters

_LANGUAGE, _TOWER = "model.language_model.", "model.visual."


def language_weights(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The language model's weights, adapters added in, under the names that checkpoints are published with.

    The vision tower stays here: vLLM is given picture features. A head tied to the embedding is that.
    """
    ours = {name: weight.data for name, weight in model.named_parameters() if not name.startswith(_TOWER)}
    for name, weight in merge_adapters(ours, adapter_scale(model)):
        yield f"model.{name.removeprefix(_LANGUAGE)}" if name.startswith(_LANGUAGE) else name, weight
