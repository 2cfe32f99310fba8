"""Offloading and restoring optimizer states."""

from __future__ import annotations

import pytest
import torch

from vlm_uec.zero.offload import StateOffload


def _trained(steps: int, offload: StateOffload | None) -> tuple[torch.Tensor, torch.optim.Optimizer]:
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(5))
    optimizer = torch.optim.AdamW([weight], lr=0.1)
    for _ in range(steps):
        weight.pow(2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        if offload:
            with offload.offloaded(optimizer):
                pass
    return weight, optimizer


def test_training_continues_as_without_offload() -> None:
    expected, _ = _trained(4, None)
    offloaded, _ = _trained(4, StateOffload())
    assert torch.equal(expected, offloaded)


def test_offloaded_states_keep_their_values() -> None:
    weight, optimizer = _trained(2, None)
    moments = [optimizer.state[weight][name] for name in ("exp_avg", "exp_avg_sq")]
    before = [(moment.data_ptr(), moment.clone()) for moment in moments]
    offload = StateOffload()
    with offload.offloaded(optimizer):
        for moment, (old_address, values) in zip(moments, before, strict=True):
            assert moment.data_ptr() != old_address
            assert torch.equal(moment, values)
        address = moments[0].data_ptr()
    assert address not in {moment.data_ptr() for moment in moments}
    with offload.offloaded(optimizer):
        assert moments[0].data_ptr() == address, "the buffer is reused"


def test_states_are_restored_after_an_error() -> None:
    weight, optimizer = _trained(1, None)
    moment = optimizer.state[weight]["exp_avg"]
    values = moment.clone()
    offload = StateOffload()
    with pytest.raises(RuntimeError, match="rollout"), offload.offloaded(optimizer):
        address = moment.data_ptr()
        raise RuntimeError("a rollout that failed")
    assert moment.data_ptr() != address and torch.equal(moment, values)


def test_an_optimizer_without_a_step_has_nothing_to_offload() -> None:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))])
    with StateOffload().offloaded(optimizer):
        assert not optimizer.state
