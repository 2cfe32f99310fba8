from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLRMSNorm

from vlm_uec.model.norm import RMSNorm, replace_norms


def _pair(dtype: torch.dtype) -> tuple[nn.Module, nn.Module]:
    """transformers' norm, and a converted copy."""
    reference = Qwen2_5_VLRMSNorm(6, eps=0.5)
    reference.weight.data = torch.tensor([0.5, -1.0, 2.0, 0.0, 1.0, 3.0])
    converted = copy.deepcopy(reference)
    replace_norms(converted, Qwen2_5_VLRMSNorm)
    assert type(converted) is RMSNorm
    return reference.to(dtype), converted.to(dtype)


def test_by_hand() -> None:
    """Mean square (9 + 16) / 2 = 12.5, with eps 0.5: 13."""
    norm = Qwen2_5_VLRMSNorm(2, eps=0.5)
    replace_norms(norm, Qwen2_5_VLRMSNorm)
    norm.weight.data = torch.tensor([1.0, 2.0])
    expected = torch.tensor([3.0, 8.0]) / 13**0.5
    torch.testing.assert_close(norm(torch.tensor([3.0, 4.0])), expected)


@pytest.mark.parametrize("shape", [(5, 6), (1, 5, 6)])
def test_values_and_gradients_equal_transformers(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(1)
    values, grad = torch.randn(2, *shape, generator=generator)
    results = []
    for norm in _pair(torch.float32):
        hidden = values.clone().requires_grad_()
        output = norm(hidden)
        output.backward(grad)
        results.append([output.detach(), hidden.grad, norm.weight.grad])
    for reference, converted in zip(*results, strict=True):
        torch.testing.assert_close(converted, reference)


def test_gradients_are_derivatives() -> None:
    _, converted = _pair(torch.float64)
    hidden = torch.randn(3, 6, generator=torch.Generator().manual_seed(2)).double().requires_grad_()
    assert torch.autograd.gradcheck(converted, (hidden,))


def test_bf16_is_rounded_once() -> None:
    _, converted = _pair(torch.bfloat16)
    hidden = torch.randn(50, 6, generator=torch.Generator().manual_seed(3)).bfloat16()
    exact = copy.deepcopy(converted).double()(hidden.double())
    assert torch.equal(converted(hidden), exact.bfloat16())


def test_other_modules_are_unchanged() -> None:
    model = nn.Sequential(Qwen2_5_VLRMSNorm(2), nn.Linear(2, 2), nn.Sequential(Qwen2_5_VLRMSNorm(2)))
    replace_norms(model, Qwen2_5_VLRMSNorm)
    assert [type(module) for module in model.modules()] == [
        nn.Sequential,
        RMSNorm,
        nn.Linear,
        nn.Sequential,
        RMSNorm,
    ]
