"""The ZeRO-3 JSON, checked and completed before DeepSpeed sees it. Imports nothing heavy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vlm_uec.config import OptimConfig
from vlm_uec.errors import UserError


def read_deepspeed_config(path: str, precision: str, optim: OptimConfig) -> dict[str, Any]:
    """The JSON with what the run's own config decides filled in.

    Raises `UserError` when the file is unreadable, not stage 3, or decides one of those itself.
    """
    try:
        config = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"deepspeed.config {path}: cannot be read ({error})") from error
    zero = config.get("zero_optimization") if isinstance(config, dict) else None
    if not isinstance(zero, dict) or zero.get("stage") != 3:
        raise UserError(f"deepspeed.config {path}: zero_optimization.stage must be 3")
    ours = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        # A mini-batch is however many micro-batches the token budget makes of it.
        "managed_gradient_accumulation": False,
        "gradient_clipping": optim.max_grad_norm,
        "bf16": {"enabled": precision == "bf16"},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    }
    if clash := sorted(set(ours) & set(config)):
        raise UserError(f"deepspeed.config {path}: {clash[0]} is set from the run's config; remove it there")
    return {**config, **ours, "steps_per_print": 10**9}
