from __future__ import annotations

from typing import Any

import pytest
import torch

from vlm_uec.update import pass_sums as sums_module
from vlm_uec.update.pass_sums import PassSums


def _sums() -> PassSums:
    return PassSums()


def test_sums_peaks_and_counts_over_passes() -> None:
    sums = _sums()
    for values in ([1.0, 2.0], [[3.0], [0.5]]):
        sums.add("loss", torch.tensor(values))
        sums.peak("ratio", torch.tensor(values))
        sums.count("read", 2)
    sums.add("clipped", torch.tensor([True, False, True]))
    assert dict(sums.over_ranks()[0]) == {"loss": 6.5, "clipped": 2.0, "ratio": 3.0, "read": 4.0}


def test_a_name_that_nobody_used_is_zero() -> None:
    assert _sums().over_ranks()[0]["loss"] == 0


def test_millions_of_tokens_are_added_in_double_precision() -> None:
    """Ones beside 2^24 are lost in fp32, within a pass and between passes."""
    sums = _sums()
    sums.add("tokens", torch.tensor([2.0**24, 1.0]))
    sums.add("tokens", torch.tensor(1.0))
    assert sums.over_ranks()[0]["tokens"] == 2**24 + 2


def test_no_pass_is_kept_alive_by_its_sums() -> None:
    """A sum that hung on the graph would hold every pass's activations until the step."""
    sums, weight = _sums(), torch.ones(3, requires_grad=True)
    sums.add("loss", weight * 2)
    sums.peak("ratio", weight * 2)
    assert not any(tensor.requires_grad for tensor in (*sums._sums.values(), *sums._peaks.values()))


def test_over_ranks_sums_add_and_peaks_are_the_highest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second rank had only a filler: it has counts of nothing, no sums and no peaks."""
    others: list[Any] = [
        ({"loss": 10.0, "kl": 1.0}, {"read": 5}, {"ratio": 0.5}, ["b", "a"]),
        ({}, {}, {}, []),
    ]
    monkeypatch.setattr(sums_module, "gather_objects", lambda mine: [mine, *others])
    sums = _sums()
    sums.add("loss", torch.tensor(1.0))
    sums.peak("ratio", torch.tensor([0.25, 2.0]))
    sums.count("read", 3)
    sums.watch(torch.tensor(float("nan")), ["c", "a"])
    sums.watch(torch.tensor(1.0), ["d"])
    total, suspects = sums.over_ranks()
    assert dict(total) == {"loss": 11.0, "kl": 1.0, "read": 8.0, "ratio": 2.0}
    assert suspects == ["a", "b", "c"]
