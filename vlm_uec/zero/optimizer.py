"""AdamW: torch's on the device, DeepSpeed's CPUAdam if a GPU's optimizer states are offloaded."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from deepspeed.accelerator import get_accelerator
from deepspeed.ops.adam import DeepSpeedCPUAdam

from vlm_uec.config import OptimConfig
from vlm_uec.ranks.collectives import rank
from vlm_uec.zero.config import offloads

log = logging.getLogger(__name__)


def make_optimizer(
    parameters: Sequence[torch.nn.Parameter], optim: OptimConfig, config: dict[str, Any]
) -> torch.optim.Optimizer:
    """`config`: the DeepSpeed JSON. CPUAdam is compiled at first use; torch's AdamW is used if that fails."""
    offloaded = offloads(config["zero_optimization"], "offload_optimizer")
    device = get_accelerator().device_name()
    if offloaded and device != "cpu":
        try:
            return DeepSpeedCPUAdam(parameters, lr=optim.lr, weight_decay=optim.weight_decay)
        except Exception as error:  # any error of the compiler or the CUDA toolkit
            log.warning(
                "rank %d: DeepSpeed's CPUAdam does not compile here (%s): the offloaded states are updated "
                "by torch's AdamW, which is slower; see `ds_report`",
                rank(),
                _first_line(error),
            )
    # One kernel for many weights, in place of several for each operation of the update.
    fused = True if device == "cuda" and not offloaded else None
    return torch.optim.AdamW(parameters, lr=optim.lr, weight_decay=optim.weight_decay, fused=fused)


def _first_line(error: BaseException) -> str:
    cause = (
        error.__cause__ or error.__context__ or error
    )  # DeepSpeed's own message does not include the reason
    return (str(cause).strip() or type(cause).__name__).splitlines()[0][:200]
