"""Loading DeepSpeed's ZeRO checkpoints, on any number of ranks.

Files are unpickled as data only and converted if the number of ranks differs. The results of DeepSpeed's
loaders are corrected: the optimizer keeps the run's settings and has a step count for each sub-group.
"""

from __future__ import annotations

import io
import os
import pickle
import re
import shutil
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import torch
from deepspeed.checkpoint import ds_to_universal
from deepspeed.runtime.fp16.loss_scaler import LossScaler
from deepspeed.runtime.zero.config import ZeroStageEnum

from vlm_uec.errors import UserError
from vlm_uec.escape import escape
from vlm_uec.ranks.collectives import barrier, on_first_rank, rank

_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
# The only classes in our ZeRO-3 files besides tensors and plain containers.
_ALLOWED_CLASSES = [LossScaler, ZeroStageEnum]
# Settings of a parameter group from the run's config; all others are optimizer state.
_SETTINGS = ("lr", "weight_decay", "fused")


@contextmanager
def restricted_pickles(directory: Path) -> Iterator[None]:
    """Makes `torch.load` accept only tensors and two classes, whatever arguments DeepSpeed passes.

    Raises `UserError` if a file contains anything else. Must not be nested: the first exit ends it.
    """
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = "1"
    try:
        with torch.serialization.safe_globals(_ALLOWED_CLASSES):
            yield
    except (pickle.UnpicklingError, EOFError) as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        reason = escape(found[1] if found else str(error), 160)
        raise UserError(
            f"{directory}: its ZeRO files contain more than weights ({reason}); "
            "choose another with resume=PATH"
        ) from error
    finally:
        if before is None:
            del os.environ[_FORCE]
        else:
            os.environ[_FORCE] = before


@contextmanager
def universal_checkpoint(zero: Path, scratch: Path) -> Iterator[Path]:
    """Converts the ZeRO files in `zero` to DeepSpeed's universal format, which any number of ranks can load.

    Rank 0 writes it to the directory `scratch`, which all ranks must share, and removes it at the end. It has
    a file for each weight's fp32 value and moments; while it is written, they are on disk twice.
    """
    try:
        on_first_rank(lambda: convert_to_universal(zero, scratch))
        yield scratch
        barrier()
    finally:
        if rank() == 0:
            shutil.rmtree(scratch, ignore_errors=True)


def convert_to_universal(zero: Path, scratch: Path) -> None:
    """Writes the universal checkpoint of the ZeRO files in `zero` to `scratch`/zero."""
    shutil.rmtree(scratch, ignore_errors=True)
    settings = Namespace(
        input_folder=str(zero),
        output_folder=str(scratch / zero.name),
        num_extract_workers=1,
        num_merge_workers=1,
        keep_temp_folder=False,
        strict=True,
        inject_missing_state=False,
    )
    # Hides the converter's progress output; errors are raised.
    with restricted_pickles(zero), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        ds_to_universal.main(settings)


@contextmanager
def correct_loaded_state(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Corrects the state after DeepSpeed's `load_checkpoint`; `optimizer`: inside the ZeRO optimizer.

    Keeps this run's learning rate and weight decay, which both of DeepSpeed's loaders overwrite.

    Gives each ZeRO sub-group a separate step count: DeepSpeed's universal loader (0.19.8,
    `load_hp_checkpoint_state_from_checkpoint_dir_stage3`) shares one tensor, which every sub-group's step
    then increments, so Adam's bias correction counts n steps per step with n sub-groups. A sub-group has
    `sub_group_size` (1e9) weights of a rank; small models have one. Saved checkpoints keep the shared tensor.
    """
    settings_before = [
        {key: group[key] for key in _SETTINGS if key in group} for group in optimizer.param_groups
    ]
    yield
    for group, settings in zip(optimizer.param_groups, settings_before, strict=True):
        group.update(settings)
    fused = bool(optimizer.defaults.get("fused"))
    for weight, state in optimizer.state.items():
        if torch.is_tensor(state.get("step")):  # DeepSpeed's CPUAdam has plain numbers
            # The fused kernel reads the count on its weight's device; a checkpoint may have it on the CPU.
            device = weight.device if fused else state["step"].device
            state["step"] = state["step"].to(device, copy=True)
