"""Low-rank adapters (LoRA, arXiv 2106.09685) with peft, trained instead of the weights."""

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

_NAME = "default"  # peft's default name of an adapter
_VISION_TARGETS = ("qkv", "proj", "gate_proj", "up_proj", "down_proj")


def peft_config(lora: LoraConfig, base: str) -> Any:
    """The adapters' peft config; `base`: directory or Hub id of the adapted model."""
    import peft

    patterns = [rf"model\.(?:language_model\.)?layers\.\d+\..*\.({'|'.join(lora.targets)})"]
    if lora.vision:
        patterns.append(rf"model\.visual\.blocks\.\d+\..*\.({'|'.join(_VISION_TARGETS)})")
    return peft.LoraConfig(
        r=lora.rank or 0,
        lora_alpha=lora.alpha,  # type: ignore[arg-type] # (peft accepts floats)
        lora_dropout=0.0,
        target_modules="|".join(patterns),
        base_model_name_or_path=base,
    )


def add_adapters(model: nn.Module, lora: LoraConfig, base: str, seed: int) -> None:
    """Adds adapters to the model and freezes all other weights.

    B is zero at the start; A is drawn with `seed`, equal on every rank.
    """
    import peft

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        peft.inject_adapter_in_model(peft_config(lora, base), model, adapter_name=_NAME)


@contextmanager
def without_adapters(model: nn.Module) -> Iterator[None]:
    """Disables the adapters' contribution, which gives the initial model.

    Adapters still run, scaled by zero, because ZeRO-3 gathers weights in the recorded order of modules.
    """
    adapted = _adapted_layers(model)
    scales = [module.scaling[_NAME] for module in adapted]
    for module in adapted:
        module.scaling[_NAME] = 0.0
    try:
        yield
    finally:
        for module, scale in zip(adapted, scales, strict=True):
            module.scaling[_NAME] = scale


def _adapted_layers(model: nn.Module) -> list[Any]:
    return [module for module in model.modules() if hasattr(module, "lora_A")]


def linear(inputs: torch.Tensor, layer: Any) -> torch.Tensor:
    """Output of a linear layer, with or without adapter, for inputs [..., In]; needs gathered weights."""
    if isinstance(layer, nn.Linear):  # peft's layer is not a subclass
        return F.linear(inputs, layer.weight, layer.bias)
    outputs = F.linear(inputs, layer.base_layer.weight, layer.base_layer.bias)
    low = F.linear(inputs, layer.lora_A[_NAME].weight)
    return outputs + layer.scaling[_NAME] * F.linear(low, layer.lora_B[_NAME].weight)


def merge_adapters(weights: Mapping[str, torch.Tensor], scale: float) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights by name, with adapters merged (in fp32) into the weights they adapt.

    Yields one weight at a time, to avoid the memory of a second model.
    """
    for name, weight in weights.items():
        if ".lora_" in name:
            continue
        layer, is_adapted, kind = name.partition(".base_layer.")
        if is_adapted and kind == "weight":
            down, up = (weights[f"{layer}.lora_{part}.{_NAME}.weight"].float() for part in "AB")
            yield f"{layer}.weight", (weight.float() + scale * up @ down).to(weight.dtype)
        else:
            yield f"{layer}.{kind}" if is_adapted else name, weight


def adapter_scale(model: nn.Module) -> float:
    """Scale of the model's adapters; 0 if it has none."""
    return next((module.scaling[_NAME] for module in _adapted_layers(model)), 0.0)


def adapter_state_dict(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The adapters' weights, under the names of peft's files."""
    return {
        f"base_model.model.{re.sub(rf'[.]{_NAME}[.]', '.', name)}": weight.contiguous()
        for name, weight in weights.items()
        if ".lora_" in name
    }


def save_adapters(weights: Mapping[str, torch.Tensor], config: Any, directory: Path) -> None:
    """Writes a directory that `from_pretrained` of transformers and peft loads onto the base in `config`.

    It has no config.json, because transformers would then expect the full model next to it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    save_file(adapter_state_dict(weights), directory / "adapter_model.safetensors", {"format": "pt"})
    config.save_pretrained(directory)
