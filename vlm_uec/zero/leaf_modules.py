"""Layers as ZeRO-3 leaf modules: weights are gathered and gradients reduced once per layer.

By default ZeRO-3 runs hooks on every module inside a layer. Their host time, and on one GPU the stream
synchronisation of each of their gathers, is longer than the GPU's work on a layer.
"""

from __future__ import annotations

from deepspeed.utils import set_z3_leaf_module
from torch import nn

from vlm_uec.model.policy import Policy


def mark_leaf_modules(policy: Policy) -> None:
    """Marks the text layers and the vision blocks; to be called before DeepSpeed wraps the policy."""
    _mark(policy.text.layers, policy.text.embed_tokens)
    if policy.tower is not None:
        _mark(policy.tower.blocks, policy.tower.patch_embed)


def _mark(layers: nn.ModuleList, inputs: nn.Module) -> None:
    """`inputs`: the module whose output the first layer reads."""
    # A leaf reduces its gradients when the gradient of its input is complete. Without a gradient of the
    # input, torch runs that hook before the weights' gradients exist, and they would be lost.
    has_gradient = any(weight.requires_grad for weight in inputs.parameters())
    for layer in layers if has_gradient else layers[1:]:
        set_z3_leaf_module(layer, True)
