"""AdamW: torch's on the device, DeepSpeed's CPUAdam where a GPU's optimizer states are offloaded."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from deepspeed.accelerator import get_accelerator
from deepspeed.ops.adam import DeepSpeedCPUAdam

from vlm_uec.config import OptimConfig
from vlm_uec.distributed import rank


def make_optimizer(
    parameters: Sequence[torch.nn.Parameter], optim: OptimConfig, config: dict[str, Any]
) -> torch.optim.Optimizer:
    """`config`: the DeepSpeed JSON. CPUAdam is compiled at its first use; if that fails, torch's serves."""
    if offloads(config) and get_accelerator().device_name() != "cpu":
        try:
            return DeepSpeedCPUAdam(parameters, lr=optim.lr, weight_decay=optim.weight_decay)
        except Exception as error:  # a compiler's or a CUDA toolkit's own, of any kind
            if rank() == 0:
                print(
                    f"DeepSpeed's CPUAdam does not compile here ({_first_line(error)}): the offloaded states "
                    "are updated by torch's AdamW, which is slower; `ds_report` tells what is missing",
                    file=sys.stderr,
                )
    return torch.optim.AdamW(parameters, lr=optim.lr, weight_decay=optim.weight_decay)


def offloads(config: dict[str, Any]) -> bool:
    """Whether the JSON keeps optimizer states off the device."""
    section = config["zero_optimization"].get("offload_optimizer")
    return isinstance(section, dict) and section.get("device", "none") != "none"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
