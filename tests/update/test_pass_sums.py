from __future__ import annotations

from typing import Any

import pytest
import torch

from vlm_uec.update import pass_sums as sums_module
from vlm_uec.update.pass_sums import PassSums


def _sums() -> PassSums:
    return PassSums()


def test_sums_maxima_and_counts_over_passes() -> None:
    sums = _sums()
    for values in ([1.0, 2.0], [[3.0], [0.5]]):
        sums.add("loss", torch.tensor(values))
        sums.maximum("ratio", torch.tensor(values))
        sums.count("read", 2)
    sums.add("clipped", torch.tensor([True, False, True]))
    assert dict(sums.reduce()[0]) == {"loss": 6.5, "clipped": 2.0, "ratio": 3.0, "read": 4.0}


def test_an_unused_name_is_zero() -> None:
    assert _sums().reduce()[0]["loss"] == 0


def test_millions_of_tokens_are_added_in_double_precision() -> None:
    """Added to 2^24, ones are lost in fp32, within a pass and between passes."""
    sums = _sums()
    sums.add("tokens", torch.tensor([2.0**24, 1.0]))
    sums.add("tokens", torch.tensor(1.0))
    assert sums.reduce()[0]["tokens"] == 2**24 + 2


def test_sums_do_not_keep_the_graph() -> None:
    """A sum with a graph would keep every pass's activations in memory until the step."""
    sums, weight = _sums(), torch.ones(3, requires_grad=True)
    sums.add("loss", weight * 2)
    sums.maximum("ratio", weight * 2)
    assert not any(tensor.requires_grad for tensor in (*sums._sums.values(), *sums._maxima.values()))


def test_ranks_are_reduced_by_sum_and_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third rank had only a filler: it has no counts, sums or maxima."""
    others: list[Any] = [
        ({"loss": 10.0, "kl": 1.0}, {"read": 5}, {"ratio": 0.5}, ["b", "a"]),
        ({}, {}, {}, []),
    ]
    monkeypatch.setattr(sums_module, "gather_objects", lambda own: [own, *others])
    sums = _sums()
    sums.add("loss", torch.tensor(1.0))
    sums.maximum("ratio", torch.tensor([0.25, 2.0]))
    sums.count("read", 3)
    sums.require_finite(torch.tensor(float("nan")), ["c", "a"])
    sums.require_finite(torch.tensor(1.0), ["d"])
    total, non_finite = sums.reduce()
    assert dict(total) == {"loss": 11.0, "kl": 1.0, "read": 8.0, "ratio": 2.0}
    assert non_finite == ["a", "b", "c"]
