"""The mixed reward; on import, rank 1 fails in forward passes as `FAIL_RANK_1` in the environment says."""

import math
import os
from typing import Any

import torch

from tests.support.plugins.mixed_reward import reward
from vlm_uec.zero.engine import ZeroPolicy

__all__ = ["reward"]

NAN_PASS, FULL_MEMORY_PASS = 2, 9  # of rank 1, since its start

_forward = ZeroPolicy.forward
_passes = iter(range(1, 1_000_000))


def _failing_forward(self: ZeroPolicy, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    number = next(_passes)
    faults = os.environ.get("FAIL_RANK_1", "") if os.environ["RANK"] == "1" else ""
    if "memory" in faults and number == FULL_MEMORY_PASS:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more.")
    logprobs, entropy = _forward(self, batch)
    return (logprobs * math.nan if "nan" in faults and number == NAN_PASS else logprobs), entropy


ZeroPolicy.forward = _failing_forward  # type: ignore[method-assign]
