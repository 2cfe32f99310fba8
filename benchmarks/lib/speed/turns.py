"""Steps of several trainers in turns, so that a drift of the machine's speed affects all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from multiprocessing.connection import Connection
from statistics import median
from typing import TypeVar

import torch

from benchmarks.lib.speed.workers import take_step

PHASES = ("generation", "scoring", "update", "step")
WARMUP_STEPS, COUNTED_STEPS = 1, 2  # steps of a turn


def counted_steps_by_turn(counted: int) -> list[int]:
    """Counted steps of each turn."""
    return [min(COUNTED_STEPS, counted - start) for start in range(0, counted, COUNTED_STEPS)]


def total_steps(counted: int) -> int:
    """All steps that a worker takes."""
    return counted + WARMUP_STEPS * len(counted_steps_by_turn(counted))


Steps = list[dict[str, float]]
Name = TypeVar("Name")


def take_turns(
    workers: Mapping[Name, AbstractContextManager[Connection]], counted: int
) -> dict[Name, list[Steps]]:
    """Counted steps of every turn, by worker: all up together on a CPU, one after the other on a GPU."""
    rows: dict[Name, list[Steps]] = {name: [] for name in workers}
    together = [[name] for name in workers] if torch.cuda.is_available() else [list(workers)]
    for names in together:
        with ExitStack() as stack:
            connections = {name: stack.enter_context(workers[name]) for name in names}
            for steps in counted_steps_by_turn(counted):
                for name, connection in connections.items():
                    taken = [take_step(connection) for _ in range(WARMUP_STEPS + steps)]
                    print(f"{name}: " + ", ".join(f"{step['step']:.2f} s" for step in taken), flush=True)
                    rows[name].append(taken[WARMUP_STEPS:])
    return rows


def median_seconds(turns: Sequence[Steps], phase: str) -> float:
    return median(step[phase] for turn in turns for step in turn)
