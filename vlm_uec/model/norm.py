"""Root-mean-square norm with few passes over memory."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class RMSNorm(nn.Module):
    """Replaces transformers' norm, whose five operations each save a tensor for backward.

    In bf16 it rounds once, at the end; transformers' norm also rounds before applying the weight.
    """

    weight: nn.Parameter
    variance_epsilon: float

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden states [..., H], normalised and weighted."""
        if hidden.is_cuda:
            return F.rms_norm(hidden, self.weight.shape, self.weight, self.variance_epsilon)
        normed: torch.Tensor = _CpuRMSNorm.apply(hidden, self.weight, self.variance_epsilon)
        return normed


def replace_norms(model: nn.Module, norm_class: type[nn.Module]) -> None:
    """Changes every norm of class `norm_class` in a model to `RMSNorm`; the weights are unchanged."""
    for module in model.modules():
        if type(module) is norm_class:
            module.__class__ = RMSNorm


class _CpuRMSNorm(torch.autograd.Function):
    """n = x / sqrt(mean(x^2) + eps), y = w n;  dL/dx = (w g - n mean(w g n)) / sqrt(mean(x^2) + eps).

    torch has a fused kernel for this only on CUDA.
    """

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        wide = hidden.float() if hidden.dtype == torch.bfloat16 else hidden
        mean_square = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square() / wide.shape[-1]
        scale = (mean_square + epsilon).rsqrt()
        normed = wide * scale
        ctx.save_for_backward(normed, scale, weight)
        return (normed * weight).to(hidden.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        normed, scale, weight = ctx.saved_tensors
        grad = grads[0].to(normed.dtype)
        grad_weight = (grad * normed).flatten(0, -2).sum(dim=0)
        grad_normed = grad * weight
        projection = torch.linalg.vecdot(grad_normed, normed)[..., None] / normed.shape[-1]
        grad_hidden = grad_normed.addcmul_(normed, projection, value=-1).mul_(scale)
        return grad_hidden.to(grads[0].dtype), grad_weight.to(weight.dtype), None
