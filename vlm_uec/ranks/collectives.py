"""Collectives over plain objects; each is the identity when there is one process."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TypeVar

import torch
import torch.distributed as dist

from vlm_uec.errors import RunEnd, RunFailed, Stopped, out_of_memory_failure

T = TypeVar("T")


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def barrier() -> None:
    if dist.is_initialized():
        dist.barrier()


def gather_objects(value: T) -> list[T]:
    """Every rank's value, in rank order, on every rank. Values come from our own ranks only."""
    if world_size() == 1:
        return [value]
    values: list[T | None] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values  # type: ignore[return-value]


def ranks_here() -> list[int]:
    """The ranks on this rank's machine; every rank calls it."""
    names = gather_objects(socket.gethostname())
    return [number for number, name in enumerate(names) if name == names[rank()]]


def gather_lists(work: Callable[[], Sequence[T]]) -> list[T]:
    """What `work` gives on every rank, concatenated in rank order, on every rank.

    An error on one rank is raised on all, so that none waits for it or falls over its absence.
    """
    return list(chain.from_iterable(_agreed(work)))


def on_first_rank(work: Callable[[], None]) -> None:
    """Rank 0 does it, and its error is raised on all; every rank calls it."""
    on_all_ranks(lambda: work() if rank() == 0 else None)


def on_all_ranks(work: Callable[[], None]) -> None:
    """Every rank does it, and goes on when all have; an error on one is raised on all."""
    _agreed(work)


def _agreed(work: Callable[[], T]) -> list[T]:
    """What `work` gave on every rank. Where it raised on one, all know why before any of them ends."""
    value: T | None = None
    own: Exception | None = None
    try:
        value = work()
    except torch.OutOfMemoryError as error:
        own = out_of_memory_failure(rank(), error)
    except Exception as error:
        own = error
    outcomes = gather_objects((value, None if own is None else _told(own)))
    faults = {number: fault for number, (_, fault) in enumerate(outcomes) if fault is not None}
    for fault in faults.values():
        if isinstance(fault, RunEnd) and not isinstance(fault, Stopped):
            raise fault from own
    if own is not None and not isinstance(own, Stopped):
        raise own
    for number, fault in faults.items():
        if isinstance(fault, str):
            raise RunFailed(f"rank {number} failed: {fault}")
    for fault in faults.values():
        if isinstance(fault, Stopped):
            raise fault
    return [value for value, _ in outcomes]  # type: ignore[misc]


def _told(error: Exception) -> RunEnd | str:
    """The error as other ranks can take it: only our own are sure to survive the way."""
    return error if isinstance(error, RunEnd) else f"{type(error).__name__}: {error}"
