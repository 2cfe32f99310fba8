"""Steps of several trainers in turns, so that changes in the machine's speed affect all of them equally."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from multiprocessing.connection import Connection
from statistics import median
from typing import TypeVar

import torch

from benchmarks.lib.speed.workers import take_step

PHASES = ("generation", "scoring", "update", "step")
WARMUP_STEPS, COUNTED_STEPS = 1, 2  # per turn


def counted_steps_by_turn(counted: int) -> list[int]:
    return [min(COUNTED_STEPS, counted - start) for start in range(0, counted, COUNTED_STEPS)]


def total_steps(counted: int) -> int:
    """Steps of a worker, warm-up included."""
    return counted + WARMUP_STEPS * len(counted_steps_by_turn(counted))


Steps = list[dict[str, float]]
Name = TypeVar("Name")


def take_turns(
    workers: Mapping[Name, AbstractContextManager[Connection]], counted: int
) -> dict[Name, list[Steps]]:
    """Counted steps of every turn, by worker. On a CPU the workers run side by side, on a GPU one by one."""
    turns: dict[Name, list[Steps]] = {name: [] for name in workers}
    together = [[name] for name in workers] if torch.cuda.is_available() else [list(workers)]
    for names in together:
        with ExitStack() as stack:
            connections = {name: stack.enter_context(workers[name]) for name in names}
            for steps in counted_steps_by_turn(counted):
                for name, connection in connections.items():
                    taken = [take_step(connection) for _ in range(WARMUP_STEPS + steps)]
                    print(f"{name}: " + ", ".join(f"{step['step']:.2f} s" for step in taken), flush=True)
                    turns[name].append(taken[WARMUP_STEPS:])
    return turns


def median_seconds(turns: Sequence[Steps], phase: str) -> float:
    return median(step[phase] for turn in turns for step in turn)
