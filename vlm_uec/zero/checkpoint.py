"""DeepSpeed's ZeRO files: read without running what a pickle says, cut anew for another number of ranks."""

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
# All that ZeRO-3 files of ours hold besides tensors and plain containers: data without behaviour.
_CLASSES = [LossScaler, ZeroStageEnum]


@contextmanager
def restricted_pickles(directory: Path) -> Iterator[None]:
    """Meanwhile `torch.load` takes tensors and two known classes, though DeepSpeed asks it to take anything.

    Raises `UserError` where a file holds anything else. Not to be nested: the end of one ends them all.
    """
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = "1"
    try:
        with torch.serialization.safe_globals(_CLASSES):
            yield
    except (pickle.UnpicklingError, EOFError) as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        reason = escape(asked[1] if asked else str(error), 160)
        raise UserError(
            f"{directory}: its ZeRO files hold more than weights ({reason}); resume=PATH picks another"
        ) from error
    finally:
        if before is None:
            del os.environ[_FORCE]
        else:
            os.environ[_FORCE] = before


@contextmanager
def universal_copy(zero: Path, scratch: Path) -> Iterator[Path]:
    """DeepSpeed's universal checkpoint of the ZeRO files in `zero`, which any number of ranks can load.

    Rank 0 makes it in the directory `scratch`, which must be one that all ranks see, and takes it away again:
    it holds each weight's fp32 value and moments in a file. While it is made, all are there twice.
    """
    try:
        on_first_rank(lambda: convert(zero, scratch))
        yield scratch
        barrier()
    finally:
        if rank() == 0:
            shutil.rmtree(scratch, ignore_errors=True)


def convert(zero: Path, scratch: Path) -> None:
    """Makes the universal checkpoint of the ZeRO files in `zero`, as `scratch`/zero."""
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
    # It prints its progress; what it raises says enough.
    with restricted_pickles(zero), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        ds_to_universal.main(settings)


# What the run's config decides; the rest of a parameter group is the optimizer's own.
_SETTINGS = ("lr", "weight_decay")


@contextmanager
def loading(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Around DeepSpeed's `load_checkpoint`, with the optimizer that its ZeRO optimizer drives.

    Learning rate and weight decay stay this run's: both of DeepSpeed's loaders take them from the checkpoint.

    Each of ZeRO's sub-groups counts its own steps: DeepSpeed's universal loader (0.19.8,
    `load_hp_checkpoint_state_from_checkpoint_dir_stage3`) gives all the same tensor, which every sub-group's
    step then raises, so that n sub-groups make n steps of one in Adam's bias correction. A sub-group holds
    `sub_group_size` (1e9) weights of a rank: small models have one only. Saving keeps the tensor shared.
    """
    own = [{key: group[key] for key in _SETTINGS} for group in optimizer.param_groups]
    yield
    for group, settings in zip(optimizer.param_groups, own, strict=True):
        group.update(settings)
    for state in optimizer.state.values():
        if torch.is_tensor(state.get("step")):  # DeepSpeed's CPUAdam counts in plain numbers
            state["step"] = state["step"].clone()
