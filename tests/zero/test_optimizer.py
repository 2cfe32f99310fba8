from __future__ import annotations

import copy
import logging
from typing import Any

import pytest
import torch

from vlm_uec.config import OptimConfig
from vlm_uec.zero import optimizer
from vlm_uec.zero.optimizer import make_optimizer

OFFLOAD: dict[str, Any] = {"zero_optimization": {"stage": 3, "offload_optimizer": {"device": "cpu"}}}
NO_OFFLOAD: dict[str, Any] = {"zero_optimization": {"stage": 3}}
NONE: dict[str, Any] = {"zero_optimization": {"stage": 3, "offload_optimizer": {"device": "none"}}}


class _CPUAdam(torch.optim.SGD):
    """Replaces DeepSpeed's, which takes minutes to compile."""

    def __init__(self, parameters: Any, *, lr: float, weight_decay: float) -> None:
        super().__init__(parameters, lr=lr, weight_decay=weight_decay)


class _Accelerator:
    def __init__(self, name: str) -> None:
        self._name = name

    def device_name(self) -> str:
        return self._name


@pytest.mark.parametrize(
    ("config", "device", "expected"),
    [
        (OFFLOAD, "cuda", _CPUAdam),
        (OFFLOAD, "cpu", torch.optim.AdamW),
        (NO_OFFLOAD, "cuda", torch.optim.AdamW),
        (NONE, "cuda", torch.optim.AdamW),
    ],
)
def test_offloaded_states_of_a_gpu_are_updated_by_cpu_adam(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], device: str, expected: type
) -> None:
    monkeypatch.setattr(optimizer, "DeepSpeedCPUAdam", _CPUAdam)
    monkeypatch.setattr(optimizer, "get_accelerator", lambda: _Accelerator(device))
    weights = [torch.nn.Parameter(torch.ones(3))]
    made = make_optimizer(weights, OptimConfig(lr=0.5, weight_decay=0.25), copy.deepcopy(config))
    assert type(made) is expected
    assert (made.defaults["lr"], made.defaults["weight_decay"]) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("config", "device", "fused"),
    [(NO_OFFLOAD, "cuda", True), (NO_OFFLOAD, "cpu", None), (OFFLOAD, "cpu", None)],
)
def test_adamw_is_fused_on_a_gpu_only(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], device: str, fused: bool | None
) -> None:
    monkeypatch.setattr(optimizer, "get_accelerator", lambda: _Accelerator(device))
    weights = [torch.nn.Parameter(torch.ones(3))]
    made = make_optimizer(weights, OptimConfig(), copy.deepcopy(config))
    assert made.defaults["fused"] is fused


def test_without_a_compiler_torchs_adamw_is_used_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    package = logging.getLogger("vlm_uec")
    monkeypatch.setattr(package, "propagate", True)  # to caplog's handler of the root logger
    monkeypatch.setattr(package, "handlers", [])

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("no C++ compiler\nand a long story")

    monkeypatch.setattr(optimizer, "DeepSpeedCPUAdam", fails)
    monkeypatch.setattr(optimizer, "get_accelerator", lambda: _Accelerator("cuda"))
    made = make_optimizer([torch.nn.Parameter(torch.ones(3))], OptimConfig(), OFFLOAD)
    assert type(made) is torch.optim.AdamW
    (line,) = caplog.messages
    assert "CPUAdam does not compile here (no C++ compiler)" in line
