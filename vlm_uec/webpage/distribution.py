"""Statistics of whole numbers: minimum, mean, median, 95th percentile, maximum, and a histogram."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

MAX_BINS = 16


@dataclass(frozen=True)
class Statistics:
    """Percentiles are by nearest rank, so they are values that occur."""

    minimum: int
    mean: float
    median: int
    p95: int
    maximum: int


def describe(values: Sequence[int]) -> Statistics | None:
    """None if there are no values."""
    if not values:
        return None
    ranked = sorted(values)
    return Statistics(
        ranked[0], sum(ranked) / len(ranked), _percentile(ranked, 50), _percentile(ranked, 95), ranked[-1]
    )


@dataclass(frozen=True)
class Histogram:
    """Counts per bin of several series over the same bins."""

    labels: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]

    def shares(self) -> dict[str, list[float]]:
        """Per cent of each series, to compare series of different sizes."""
        totals = {name: sum(counts) or 1 for name, counts in self.counts.items()}
        return {
            name: [100 * number / totals[name] for number in counts] for name, counts in self.counts.items()
        }


def histogram(series: Mapping[str, Sequence[int]]) -> Histogram:
    """At most `MAX_BINS` bins of one round width; the last one includes all larger values than the bin of the
    99th percentile."""
    ranked = sorted(value for values in series.values() for value in values)
    if not ranked:
        return Histogram((), dict.fromkeys(series, ()))
    low, high = ranked[0], _percentile(ranked, 99)
    width = next(width for width in _round_widths() if high // width - low // width < MAX_BINS)
    first, last = low // width, high // width
    counts = {name: [0] * (last - first + 1) for name in series}
    for name, values in series.items():
        for value in values:
            counts[name][min(value // width, last) - first] += 1
    labels = [_label(number * width, width) for number in range(first, last + 1)]
    if ranked[-1] // width > last:
        labels[-1] = f"{_short_number(last * width)}+"
    return Histogram(tuple(labels), {name: tuple(numbers) for name, numbers in counts.items()})


def _percentile(ranked: Sequence[int], per_cent: int) -> int:
    return ranked[-(-len(ranked) * per_cent // 100) - 1]


def _round_widths() -> Iterator[int]:
    return (factor * 10**power for power in count() for factor in (1, 2, 5))


def _label(start: int, width: int) -> str:
    """The bin [start, start + width)."""
    return _short_number(start) if width == 1 else f"{_short_number(start)}–{_short_number(start + width)}"


def _short_number(number: int) -> str:
    if number >= 10**6:
        return f"{number / 10**6:g}M"
    return f"{number / 10**3:g}k" if number >= 10**4 else str(number)
