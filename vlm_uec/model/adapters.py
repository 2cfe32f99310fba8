"""Low-rank adapters (LoRA, arXiv 2106.09685), by peft: trained in place of the weights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from vlm_uec.config import LoraConfig

_NAME = "default"  # peft's own for a model's only adapter
_TOWER = ("qkv", "proj", "gate_proj", "up_proj", "down_proj")


def peft_config(lora: LoraConfig, base: str) -> Any:
    """As peft reads and writes it; `base`: directory or Hub id of the model that is adapted."""
    import peft

    places = [rf"model\.(?:language_model\.)?layers\.\d+\..*\.({'|'.join(lora.targets)})"]
    if lora.vision:
        places.append(rf"model\.visual\.blocks\.\d+\..*\.({'|'.join(_TOWER)})")
    return peft.LoraConfig(
        r=lora.rank or 0,
        lora_alpha=lora.alpha,  # type: ignore[arg-type] # (a scale like any other)
        lora_dropout=0.0,
        target_modules="|".join(places),
        base_model_name_or_path=base,
    )


def add_adapters(model: nn.Module, lora: LoraConfig, base: str, seed: int) -> None:
    """Puts adapters into the model and leaves nothing else to be trained.

    Their product is zero at first; the factor that is not is drawn by `seed`, on every rank alike.
    """
    import peft

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        peft.inject_adapter_in_model(peft_config(lora, base), model, adapter_name=_NAME)


@contextmanager
def without_adapters(model: nn.Module) -> Iterator[None]:
    """The model without its adapters' contribution: the initial model.

    Adapters still run, scaled by zero: ZeRO-3 gathers weights in the recorded order of modules.
    """
    adapted = _adapted(model)
    kept = [module.scaling[_NAME] for module in adapted]
    for module in adapted:
        module.scaling[_NAME] = 0.0
    try:
        yield
    finally:
        for module, scale in zip(adapted, kept, strict=True):
            module.scaling[_NAME] = scale


def _adapted(model: nn.Module) -> list[Any]:
    return [module for module in model.modules() if hasattr(module, "lora_A")]


def linear(inputs: torch.Tensor, layer: Any) -> torch.Tensor:
    """Output of a linear layer, adapted or not, for inputs [..., In], computed on its whole weights."""
    if isinstance(layer, nn.Linear):  # peft's is none
        return F.linear(inputs, layer.weight, layer.bias)
    outputs = F.linear(inputs, layer.base_layer.weight, layer.base_layer.bias)
    low = F.linear(inputs, layer.lora_A[_NAME].weight)
    return outputs + layer.scaling[_NAME] * F.linear(low, layer.lora_B[_NAME].weight)


def merged(weights: Mapping[str, torch.Tensor], scale: float) -> Iterator[tuple[str, torch.Tensor]]:
    """A model's weights by name, with adapters merged (in fp32) into the weights they adapt.

    Yields one at a time: all of them would take the memory of a second model.
    """
    for name, weight in weights.items():
        if ".lora_" in name:
            continue
        place, adapted, kind = name.partition(".base_layer.")
        if adapted and kind == "weight":
            down, up = (weights[f"{place}.lora_{part}.{_NAME}.weight"].float() for part in "AB")
            yield f"{place}.weight", (weight.float() + scale * up @ down).to(weight.dtype)
        else:
            yield f"{place}.{kind}" if adapted else name, weight


def scale_of(model: nn.Module) -> float:
    """Scale of the model's adapters; 0 without any."""
    return next((module.scaling[_NAME] for module in _adapted(model)), 0.0)


def adapter_weights(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The adapters alone, under the names of peft's files."""
    return {
        f"base_model.model.{re.sub(rf'[.]{_NAME}[.]', '.', name)}": weight.contiguous()
        for name, weight in weights.items()
        if ".lora_" in name
    }


def save_adapters(weights: Mapping[str, torch.Tensor], config: Any, directory: Path) -> None:
    """A directory that `from_pretrained` loads, transformers' and peft's, on the base that `config` names.

    Without a config.json: transformers would look for the whole model beside it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    save_file(adapter_weights(weights), directory / "adapter_model.safetensors", {"format": "pt"})
    config.save_pretrained(directory)
