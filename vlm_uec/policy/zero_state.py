"""Mends an optimizer that DeepSpeed has just filled from a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

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
