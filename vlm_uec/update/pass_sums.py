"""Sums over a mini-batch's passes, kept on the device: a number read after every pass would stall a GPU."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch

from vlm_uec.ranks.collectives import gather_objects


class PassSums:
    """Named sums, counts and maxima; numbers reach the host once, in `over_ranks`."""

    def __init__(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}
        self._peaks: dict[str, torch.Tensor] = {}
        self._counts: dict[str, float] = defaultdict(float)
        self._watched: list[tuple[torch.Tensor, tuple[str, ...]]] = []

    def add(self, name: str, values: torch.Tensor) -> None:
        """Adds up a tensor of any shape, in double precision: millions of tokens come together here."""
        total = values.detach().sum(dtype=torch.float64)
        self._sums[name] = self._sums[name] + total if name in self._sums else total

    def peak(self, name: str, values: torch.Tensor) -> None:
        top = values.detach().max()
        self._peaks[name] = torch.maximum(self._peaks[name], top) if name in self._peaks else top

    def count(self, name: str, number: float) -> None:
        self._counts[name] += number

    def watch(self, value: torch.Tensor, names: Iterable[str]) -> None:
        """A number that must be finite, and whose it is."""
        self._watched.append((value.detach(), tuple(names)))

    def over_ranks(self) -> tuple[dict[str, float], list[str]]:
        """Totals over all ranks (a name that nobody used is 0), and whose watched numbers are not finite.

        Every rank calls it.
        """
        mine = (_numbers(self._sums), dict(self._counts), _numbers(self._peaks), self._suspects())
        total: dict[str, float] = defaultdict(float)
        highest: dict[str, float] = {}
        suspects: list[str] = []
        for sums, counts, peaks, names in gather_objects(mine):
            suspects += names
            for name, value in (*sums.items(), *counts.items()):
                total[name] += value
            for name, value in peaks.items():
                highest[name] = max(highest.get(name, value), value)
        total.update(highest)
        return total, sorted(set(suspects))

    def _suspects(self) -> list[str]:
        if not self._watched:
            return []
        finite = torch.stack([value for value, _ in self._watched]).isfinite().tolist()
        return [
            name
            for (_, names), sound in zip(self._watched, finite, strict=True)
            if not sound
            for name in names
        ]


def _numbers(values: dict[str, torch.Tensor]) -> dict[str, float]:
    if not values:
        return {}
    return dict(zip(values, torch.stack([value.double() for value in values.values()]).tolist(), strict=True))
