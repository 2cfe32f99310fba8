"""The mixed reward, in a trainer whose rank 1 is hurt in a forward pass, as the environment asks."""

import math
import os
from typing import Any

import torch

from tests.support.plugins.mixed_reward import reward
from vlm_uec.zero.engine import ZeroPolicy

__all__ = ["reward"]

NAN_PASS, FULL_PASS = 2, 9  # of rank 1, since its start

_forward = ZeroPolicy.forward
_passes = iter(range(1, 1_000_000))


def _hurt(self: ZeroPolicy, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    number = next(_passes)
    asked = os.environ.get("HURT_RANK", "") if os.environ["RANK"] == "1" else ""
    if "memory" in asked and number == FULL_PASS:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more.")
    logprobs, entropy = _forward(self, batch)
    return (logprobs * math.nan if "nan" in asked and number == NAN_PASS else logprobs), entropy


ZeroPolicy.forward = _hurt  # type: ignore[method-assign]
