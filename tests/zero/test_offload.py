"""Optimizer states that are moved out and back."""

from __future__ import annotations

import pytest
import torch

from vlm_uec.zero.offload import Parking


def _trained(steps: int, parking: Parking | None) -> tuple[torch.Tensor, torch.optim.Optimizer]:
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(5))
    optimizer = torch.optim.AdamW([weight], lr=0.1)
    for _ in range(steps):
        weight.pow(2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        if parking:
            with parking.parked(optimizer):
                pass
    return weight, optimizer


def test_training_goes_on_as_if_they_had_never_been_away() -> None:
    there, _ = _trained(4, None)
    back, _ = _trained(4, Parking())
    assert torch.equal(there, back)


def test_meanwhile_they_are_elsewhere_and_whole() -> None:
    weight, optimizer = _trained(2, None)
    moments = [optimizer.state[weight][name] for name in ("exp_avg", "exp_avg_sq")]
    before = [(moment.data_ptr(), moment.clone()) for moment in moments]
    parking = Parking()
    with parking.parked(optimizer):
        for moment, (address, values) in zip(moments, before, strict=True):
            assert moment.data_ptr() != address
            assert torch.equal(moment, values)
        place = moments[0].data_ptr()
    assert place not in {moment.data_ptr() for moment in moments}
    with parking.parked(optimizer):
        assert moments[0].data_ptr() == place, "the same room is used again"


def test_they_come_back_after_an_error() -> None:
    weight, optimizer = _trained(1, None)
    moment = optimizer.state[weight]["exp_avg"]
    values = moment.clone()
    parking = Parking()
    with pytest.raises(RuntimeError, match="rollout"), parking.parked(optimizer):
        place = moment.data_ptr()
        raise RuntimeError("a rollout that failed")
    assert moment.data_ptr() != place and torch.equal(moment, values)


def test_an_optimizer_that_has_not_stepped_has_nothing_to_move() -> None:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))])
    with Parking().parked(optimizer):
        assert not optimizer.state
