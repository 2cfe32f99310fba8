"""Collectives over Python objects; with one process each is the identity."""

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
    """Every rank's value, in rank order, on every rank. Pickled, so for values of this run's ranks only."""
    if world_size() == 1:
        return [value]
    values: list[T | None] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values  # type: ignore[return-value]


def local_ranks() -> list[int]:
    """The ranks on this rank's machine; every rank calls it."""
    names = gather_objects(socket.gethostname())
    return [number for number, name in enumerate(names) if name == names[rank()]]


def gather_lists(work: Callable[[], Sequence[T]]) -> list[T]:
    """The lists that `work` returns on all ranks, concatenated in rank order, on every rank.

    An error on one rank is raised on all, so that no rank waits for it.
    """
    return list(chain.from_iterable(_run_on_all(work)))


def on_first_rank(work: Callable[[], None]) -> None:
    """Calls `work` on rank 0 and raises its error on all ranks; every rank calls this."""
    on_all_ranks(lambda: work() if rank() == 0 else None)


def on_all_ranks(work: Callable[[], None]) -> None:
    """Calls `work` on every rank and returns when all have finished; one rank's error is raised on all."""
    _run_on_all(work)


def _run_on_all(work: Callable[[], T]) -> list[T]:
    """The results of `work` on all ranks. An error is gathered from all ranks before any of them raises."""
    value: T | None = None
    own: Exception | None = None
    try:
        value = work()
    except torch.OutOfMemoryError as error:
        own = out_of_memory_failure(rank(), error)
    except Exception as error:
        own = error
    outcomes = gather_objects((value, None if own is None else _portable(own)))
    errors = {number: error for number, (_, error) in enumerate(outcomes) if error is not None}
    for failure in errors.values():
        if isinstance(failure, RunEnd) and not isinstance(failure, Stopped):
            raise failure from own
    if own is not None and not isinstance(own, Stopped):
        raise own
    for number, failure in errors.items():
        if isinstance(failure, str):
            raise RunFailed(f"rank {number} failed: {failure}")
    for failure in errors.values():
        if isinstance(failure, Stopped):
            raise failure
    return [value for value, _ in outcomes]  # type: ignore[misc]


def _portable(error: Exception) -> RunEnd | str:
    """The error in a form that other ranks can unpickle: foreign exception types may not survive it."""
    return error if isinstance(error, RunEnd) else f"{type(error).__name__}: {error}"
