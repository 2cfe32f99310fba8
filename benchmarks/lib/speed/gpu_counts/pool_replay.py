"""Replay of the decode pool's decisions on the host, without a model: what a rollout on a GPU reads.

Slots are refilled, compacted and grouped by the sampler's own tables and rules; the responses' lengths are
drawn from a log-normal distribution.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass, field

from vlm_uec.rollout.cache import View, cuda_view
from vlm_uec.rollout.graphs import STEPS_PER_READ
from vlm_uec.rollout.prefix_groups import PrefixGroupTable
from vlm_uec.rollout.slots import prefix_group_count

SIGMA = 0.6  # of the logarithms of lengths
FEWEST_PROMPT_TOKENS, MEAN_PROMPT_TOKENS, MOST_PROMPT_TOKENS = 200, 450, 2048
PROMPT_SIGMA = 0.4


@dataclass(frozen=True)
class ReplayShape:
    """Sizes of a rollout; lengths are in tokens."""

    prompts: int
    group: int
    slots: int
    width: int
    mean: float


@dataclass
class ReplayCounts:
    """Totals over a rollout's steps, of key positions of one head."""

    own_read: int = 0
    own_valid: int = 0
    prompt_read: int = 0
    prompt_valid: int = 0  # each prompt in use once, however many groups it has
    views: set[View] = field(default_factory=set)


@dataclass
class _Running:
    prompt: int
    remaining: int  # tokens that follow
    tokens: int = 1  # sampled; a step attends to as many own positions


class PoolReplay:
    """One rollout; `valid_keys`: attention reads valid keys only."""

    def __init__(self, shape: ReplayShape, *, valid_keys: bool, seed: int = 0) -> None:
        self._shape, self._valid_keys, self._random = shape, valid_keys, random.Random(seed)
        self._prompts = [
            max(FEWEST_PROMPT_TOKENS, self._length(MEAN_PROMPT_TOKENS, PROMPT_SIGMA, MOST_PROMPT_TOKENS))
            for _ in range(shape.prompts)
        ]
        self._names = [object() for _ in self._prompts]
        self._waiting = deque(number for number in range(shape.prompts) for _ in range(shape.group))
        self._table = PrefixGroupTable(prefix_group_count(shape.slots, shape.group))
        self._running: list[_Running] = []

    def run(self) -> ReplayCounts:
        counts = ReplayCounts()
        while True:
            self._refill()
            if not self._running:
                return counts
            self._decode(counts)

    def _length(self, mean: float, sigma: float, most: int) -> int:
        drawn = self._random.lognormvariate(math.log(mean) - sigma**2 / 2, sigma)
        return max(1, min(most, int(drawn)))

    def _refill(self) -> None:
        gaps = [slot for slot, running in enumerate(self._running) if running.remaining <= 0]
        for slot in gaps:
            self._table.release(slot)
        started = 0
        for slot in [*gaps, *range(len(self._running), self._shape.slots)]:
            if not self._waiting or not self._table.can_assign(self._names[self._waiting[0]]):
                break
            self._start(slot, self._waiting.popleft())
            started += 1
        for gap in reversed(gaps[started:]):
            last = len(self._running) - 1
            if gap != last:
                self._table.move(last, gap)
                self._running[gap] = self._running[last]
            self._running.pop()

    def _start(self, slot: int, prompt: int) -> None:
        self._table.assign(slot, self._names[prompt])
        remaining = self._length(self._shape.mean, SIGMA, self._shape.width) - 1
        self._running[slot : slot + 1] = [_Running(prompt, remaining)]

    def _decode(self, counts: ReplayCounts) -> None:
        """The steps between two reads of the device's state."""
        rows, longest = len(self._running), max(running.tokens for running in self._running)
        view = cuda_view(
            rows,
            longest + STEPS_PER_READ - 1,
            self._shape.slots,
            self._shape.width,
            self._table,
            valid_keys=self._valid_keys,
        )
        counts.views.add(view)
        counts.prompt_read += STEPS_PER_READ * self._prompt_positions(view)
        in_use = {running.prompt for running in self._running}
        counts.prompt_valid += STEPS_PER_READ * sum(self._prompts[prompt] for prompt in in_use)
        for _ in range(STEPS_PER_READ):
            counts.own_read += self._own_positions(view)
            for running in self._running:
                if running.remaining > 0:
                    counts.own_valid += running.tokens
                    running.tokens += 1
                    running.remaining -= 1

    def _own_positions(self, view: View) -> int:
        """Ended rows attend to their response once more, rows without a response to one position."""
        if not self._valid_keys:
            return view.slots * view.length
        return sum(running.tokens for running in self._running) + view.slots - len(self._running)

    def _prompt_positions(self, view: View) -> int:
        if not self._valid_keys:
            return view.prefix_groups * max(self._prompts)
        return sum(self._prompts[self._running[rows[0]].prompt] for rows in self._table.members())
