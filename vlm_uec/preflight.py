"""What can be told to fail before anything heavy is loaded: no run should end minutes in over a slip."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from vlm_uec.config import Config
from vlm_uec.data.chat import FormatPrompt
from vlm_uec.distributed import rank, world_size
from vlm_uec.errors import UserError
from vlm_uec.policy.deepspeed_config import read_deepspeed_config
from vlm_uec.rewards import load_reward_function

_PROBE_BYTES = 1 << 20


def preflight(config: Config) -> None:
    """Raises `UserError` where a file that the config names is of no use, or the run cannot write."""
    read_deepspeed_config(config.deepspeed.config, config.model.precision, config.optim)
    FormatPrompt(config.prompt.template)
    load_reward_function(config.reward.function)
    if config.rollout.prompts < world_size():
        raise UserError(
            f"rollout.prompts {config.rollout.prompts} is below the number of ranks {world_size()}; start "
            "fewer, or raise it"
        )
    if rank() == 0:
        check_writable(Path(config.train.run_dir), "train.run_dir")


def check_writable(directory: Path, setting: str) -> None:
    """Writes a file into the directory and takes it away again, with all folders that were made for it.

    Raises `UserError`, beginning with `setting`, where that fails or the disk is full.
    """
    made = []
    try:
        made = [folder for folder in (directory, *directory.parents) if not folder.exists()]
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".probe-") as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(
            f"{setting} {directory}: cannot be written ({error.strerror}); make room or choose another"
        ) from error
    finally:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
