"""Checks that need no model, so that a wrong setting fails a run at once and not after minutes."""

from __future__ import annotations

from pathlib import Path

from vlm_uec.config import Config
from vlm_uec.data.chat import FormatPrompt
from vlm_uec.errors import UserError
from vlm_uec.forecast.memory import checkpoint_bytes
from vlm_uec.forecast.shape import model_shape
from vlm_uec.io.disk_space import check_writable
from vlm_uec.model.positions_limit import check_positions
from vlm_uec.ranks.collectives import barrier, on_first_rank
from vlm_uec.telemetry.trackers import check_trackers
from vlm_uec.zero.config import read_deepspeed_config


def preflight(config: Config, ranks: int, *, check_disk: bool = True) -> None:
    """Raises `UserError` if a file or library that the config names is unusable, or the run cannot write.

    `check_disk`: also requires space for a checkpoint. Every rank calls it, after the remains of an
    interrupted run were removed.
    """
    read_deepspeed_config(config.deepspeed.config, config.model.precision, config.optim)
    FormatPrompt(config.prompt.template)
    check_trackers(config.train.trackers)
    shape = model_shape(config.model.path)
    if config.rollout.prompts < ranks:
        raise UserError(
            f"rollout.prompts {config.rollout.prompts} is below the number of ranks {ranks}; start fewer "
            "ranks or raise it"
        )
    if shape:
        keys = ("data.max_prompt_tokens", "rollout.max_tokens")
        check_positions(shape.max_positions, config.data.max_prompt_tokens, config.rollout.max_tokens, keys)
    barrier()  # the write check creates a file in the run directory, which makes it look used
    needed = checkpoint_bytes(config, shape) if shape and check_disk else 0
    on_first_rank(lambda: check_writable(Path(config.train.run_dir), "train.run_dir", needed))
