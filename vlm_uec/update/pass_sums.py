"""Sums over a mini-batch's passes, kept on the device: reading a number after every pass stalls a GPU."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch

from vlm_uec.ranks.collectives import gather_objects


class PassSums:
    """Named sums, counts and maxima; they are copied to the host once, in `reduce`."""

    def __init__(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}
        self._maxima: dict[str, torch.Tensor] = {}
        self._counts: dict[str, float] = defaultdict(float)
        self._checked: list[tuple[torch.Tensor, tuple[str, ...]]] = []

    def add(self, name: str, values: torch.Tensor) -> None:
        """Adds the sum of a tensor of any shape, in double precision because of millions of tokens."""
        total = values.detach().sum(dtype=torch.float64)
        self._sums[name] = self._sums[name] + total if name in self._sums else total

    def maximum(self, name: str, values: torch.Tensor) -> None:
        largest = values.detach().max()
        self._maxima[name] = torch.maximum(self._maxima[name], largest) if name in self._maxima else largest

    def count(self, name: str, number: float) -> None:
        self._counts[name] += number

    def require_finite(self, value: torch.Tensor, names: Iterable[str]) -> None:
        """Registers a number that must be finite, and the names to report if it is not."""
        self._checked.append((value.detach(), tuple(names)))

    def reduce(self) -> tuple[dict[str, float], list[str]]:
        """Totals over all ranks (0 for an unused name), and the names of non-finite numbers, sorted.

        Every rank calls it.
        """
        own = (_numbers(self._sums), dict(self._counts), _numbers(self._maxima), self._non_finite())
        total: dict[str, float] = defaultdict(float)
        largest: dict[str, float] = {}
        non_finite: list[str] = []
        for sums, counts, maxima, names in gather_objects(own):
            non_finite += names
            for name, value in (*sums.items(), *counts.items()):
                total[name] += value
            for name, value in maxima.items():
                largest[name] = max(largest.get(name, value), value)
        total.update(largest)
        return total, sorted(set(non_finite))

    def _non_finite(self) -> list[str]:
        if not self._checked:
            return []
        finite = torch.stack([value for value, _ in self._checked]).isfinite().tolist()
        return [
            name
            for (_, names), is_finite in zip(self._checked, finite, strict=True)
            if not is_finite
            for name in names
        ]


def _numbers(values: dict[str, torch.Tensor]) -> dict[str, float]:
    if not values:
        return {}
    return dict(zip(values, torch.stack([value.double() for value in values.values()]).tolist(), strict=True))
