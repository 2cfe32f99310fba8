"""Collectives over plain objects; each is the identity when there is one process."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from itertools import chain
from typing import TypeVar

import torch.distributed as dist

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


def gather_lists(values: Sequence[T]) -> list[T]:
    """Every rank's items, concatenated in rank order, on every rank."""
    return list(chain.from_iterable(gather_objects(list(values))))
