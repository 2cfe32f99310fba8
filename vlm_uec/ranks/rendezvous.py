"""Start-up rendezvous: connects a run's ranks over a key-value store before any of them does work."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from vlm_uec.errors import RunFailed, UserError

START_TIMEOUT_S = 600.0
_SINGLE_RANK = {
    "RANK": "0",
    "LOCAL_RANK": "0",
    "WORLD_SIZE": "1",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "0",
}


@dataclass(frozen=True)
class Rendezvous:
    """This rank, the number of ranks, and the store that all of them reach."""

    store: Any  # torch.distributed.Store; its type stubs lack `clone`
    rank: int
    ranks: int


def rendezvous(timeout_s: float = START_TIMEOUT_S) -> Rendezvous:
    """Waits for all ranks of the launcher's environment; without a launcher, the process is the only rank.

    Raises `RunFailed` if they are not connected after `timeout_s` seconds, `UserError` if the environment is
    incomplete.
    """
    if "RANK" not in os.environ:
        os.environ.update(_SINGLE_RANK)
    if missing := sorted(_SINGLE_RANK.keys() - os.environ.keys()):
        raise UserError(
            f"RANK is set but {', '.join(missing)} is not: unset RANK, or use the deepspeed launcher, "
            "which sets all"
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
