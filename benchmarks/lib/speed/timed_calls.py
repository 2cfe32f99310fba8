"""Calls of several samplers in turns, their times, and the table of their medians."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TypeVar

import torch


@dataclass(frozen=True)
class SampleCount:
    """Number of samples and tokens of one call."""

    samples: int
    tokens: int


@dataclass(frozen=True)
class TimedCall:
    """Duration, samples and tokens of one call."""

    seconds: float
    samples: int
    tokens: int


Sampler = Callable[[int], SampleCount]  # argument: the number of the round, which seeds it
CallsBySide = Mapping[str, Sequence[TimedCall]]
Result = TypeVar("Result")


def call_alternately(
    samplers: Mapping[str, Sampler], rounds: int, device: torch.device
) -> dict[str, list[TimedCall]]:
    """The timed calls by side; the first call of each side is warm-up and not returned."""
    calls: dict[str, list[TimedCall]] = {side: [] for side in samplers}
    for number in range(rounds + 1):
        for side, sampler in samplers.items():
            seconds, count = timed_call(partial(sampler, number), device)
            calls[side].append(TimedCall(seconds, count.samples, count.tokens))
    return {side: taken[1:] for side, taken in calls.items()}


def timed_call(call: Callable[[], Result], device: torch.device) -> tuple[float, Result]:
    start = synchronised_time(device)
    result = call()
    return synchronised_time(device) - start, result


def synchronised_time(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def print_calls(title: str, calls: CallsBySide) -> None:
    print(f"\n{title}")
    print(f"{'':>12} {'seconds':>9} {'samples/s':>10} {'tokens/s':>9} {'mean length':>12}")
    for side, taken in calls.items():
        seconds = median(call.seconds for call in taken)
        samples = median(call.samples / call.seconds for call in taken)
        tokens = median(call.tokens / call.seconds for call in taken)
        length = sum(call.tokens for call in taken) / sum(call.samples for call in taken)
        print(f"{side:>12} {seconds:>9.3f} {samples:>10.1f} {tokens:>9.0f} {length:>12.1f}")
    first, second = calls
    for name, ratios in ratios_by_pair(calls).items():
        low, high = min(ratios), max(ratios)
        print(f"{name}, {first} / {second}: {median(ratios):.2f} (pair by pair {low:.2f} to {high:.2f})")


def ratios_by_pair(calls: CallsBySide) -> dict[str, list[float]]:
    """First side / second side, pair by pair."""
    pairs = list(zip(*calls.values(), strict=True))
    return {
        "time": [one.seconds / other.seconds for one, other in pairs],
        "tokens/s": [one.tokens / one.seconds / (other.tokens / other.seconds) for one, other in pairs],
    }
