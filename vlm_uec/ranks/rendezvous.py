"""Where a run's ranks find each other: a key-value store that all of them reach, before anything else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from vlm_uec.errors import RunFailed, UserError

START_S = 600.0
_ALONE = {
    "RANK": "0",
    "LOCAL_RANK": "0",
    "WORLD_SIZE": "1",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "0",
}


@dataclass(frozen=True)
class Rendezvous:
    """This rank among the others."""

    store: Any  # torch.distributed.Store, whose `clone` its types do not know
    rank: int
    ranks: int


def rendezvous(timeout_s: float = START_S) -> Rendezvous:
    """Waits for all ranks that the launcher's environment speaks of; a process started alone is one of one.

    Raises `RunFailed` where they are not there after `timeout_s` seconds, `UserError` where that environment
    speaks of one in part.
    """
    if "RANK" not in os.environ:
        os.environ.update(_ALONE)
    if lacking := sorted(_ALONE.keys() - os.environ.keys()):
        raise UserError(
            f"RANK is set and {', '.join(lacking)} not: unset it, or start with deepspeed, which sets all"
        )
    ranks = os.environ["WORLD_SIZE"]
    try:
        store, rank, world = next(dist.rendezvous("env://", timeout=timedelta(seconds=timeout_s)))
    except RuntimeError as error:
        if "address already in use" in str(error).lower():
            raise RunFailed(
                f"port {os.environ['MASTER_PORT']} is in use on {os.environ['MASTER_ADDR']}: choose another, "
                "with the launcher's --master_port"
            ) from error
        raise RunFailed(
            f"rank {os.environ['RANK']} waited {timeout_s:g} s for all {ranks} ranks to start: one died, or "
            "cannot reach MASTER_ADDR:MASTER_PORT"
        ) from error
    return Rendezvous(store, rank, world)
