"""The policy under DeepSpeed ZeRO-3; no other module calls the DeepSpeed engine."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import deepspeed
import torch
import torch.nn.functional as F
from deepspeed.accelerator import get_accelerator
from deepspeed.runtime.zero import GatheredParameters
from transformers.integrations import HfDeepSpeedConfig

from vlm_uec.config import LoraConfig, OptimConfig
from vlm_uec.errors import UserError
from vlm_uec.model.adapters import merged, peft_config, save_adapters, without_adapters
from vlm_uec.model.host_memory import keep_freed_memory
from vlm_uec.model.load import silence_progress
from vlm_uec.model.packing import PackedBatch
from vlm_uec.model.policy import Policy
from vlm_uec.ranks.collectives import gather_objects, world_size
from vlm_uec.ranks.rendezvous import Rendezvous
from vlm_uec.types import EncodedPrompt
from vlm_uec.zero.checkpoint import corrected_load, restricted_pickles, universal_copy
from vlm_uec.zero.config import offloads
from vlm_uec.zero.offload import StateOffload
from vlm_uec.zero.optimizer import make_optimizer

ZERO_TAG = "zero"
DEFAULT_TIMEOUT = timedelta(minutes=30)


def start_distributed(found: Rendezvous, timeout: timedelta = DEFAULT_TIMEOUT) -> None:
    """Makes a process group of the ranks of a rendezvous; `timeout`: of every collective."""
    device = get_accelerator().device_name()
    bound = {}
    if device == "cpu":
        keep_freed_memory()
    else:
        # Collectives of objects use the current device, and start before any model is on it.
        local = int(os.environ["LOCAL_RANK"])
        get_accelerator().set_device(local)
        if device == "cuda":
            bound = {"device_id": get_accelerator().device(local)}
    # DeepSpeed calls collectives by names that torch 2.13 renames: one warning a rank and name, no harm.
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    # Its compilation takes a minute and fails without a compiler; gloo and NCCL do not need it.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    torch.distributed.init_process_group(
        get_accelerator().communication_backend_name(),
        store=found.store,
        rank=found.rank,
        world_size=found.ranks,
        timeout=timeout,
        **bound,
    )
    deepspeed.init_distributed(verbose=False, timeout=timeout)


def stop_distributed() -> None:
    """Destroys the process group after a barrier: a rank that exits during communication may abort others."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


class ZeroPolicy:
    """A trainable policy sharded over the ranks."""

    def __init__(
        self, policy: Policy, config: dict[str, Any], optim: OptimConfig, *, offload_states: bool
    ) -> None:
        """`offload_states`: optimizer states are in host memory while `gathered`."""
        parameters = [parameter for parameter in policy.parameters() if parameter.requires_grad]
        optimizer = make_optimizer(parameters, optim, config)
        self.policy = policy
        self._engine = deepspeed.initialize(model=policy, optimizer=optimizer, config=config)[0]
        already = offloads(config["zero_optimization"], "offload_optimizer")
        self._offload = StateOffload() if offload_states and not already else None

    @property
    def device(self) -> torch.device:
        return torch.device(get_accelerator().current_device_name())

    @property
    def parameters(self) -> int:
        """Number of weights over all ranks."""
        return sum(getattr(weight, "ds_numel", weight.numel()) for weight in self.policy.parameters())

    @property
    def lr(self) -> float:
        return float(self._engine.get_lr()[0])

    def score(self, batch: PackedBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probs [T] and entropies [T], no gradient."""
        self._engine.eval()
        with torch.no_grad():
            return self._engine(batch.to(self.device))

    def forward(self, batch: PackedBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probs [T] and entropies [T], with gradient."""
        self._engine.train()
        return self._engine(batch.to(self.device))

    def backward(self, loss: torch.Tensor) -> None:
        """Accumulates gradients. DeepSpeed averages over ranks: scale a global sum by the world size."""
        self._engine.backward(loss)

    def step(self) -> float | None:
        """One optimizer step over everything accumulated; the gradient norm before clipping.

        None where the norm is not finite, on all ranks: DeepSpeed then drops the gradient, and weights and
        moments stay as they are.
        """
        self._engine.step()
        norm = float(self._engine.get_global_grad_norm())
        return norm if math.isfinite(norm) else None

    def discard(self) -> None:
        """Drops everything accumulated since the last step; every rank calls it."""
        self._engine.zero_grad()  # gradients that an interrupted pass has not reduced yet
        self._engine.optimizer._overflow_clean_up(None)  # as DeepSpeed does after an overflow

    def abandon_pass(self) -> None:
        """After a pass that an error interrupted on the only rank: drops gradients, releases weights."""
        for bucket in self._engine.optimizer.ipg_buckets.values():
            bucket.clear_params()  # gradients that wait for a common reduction
        self.discard()
        _release_weights(self._engine.optimizer, self._engine.optimizer.parameter_offload)

    @property
    def tower_frozen(self) -> bool:
        return self.policy.tower is not None and self.policy.frozen.tower

    def frozen_features(
        self, names: Sequence[str], encode: Callable[[str], EncodedPrompt]
    ) -> dict[str, torch.Tensor]:
        """Picture features of prompts from a frozen tower, on the CPU.

        Every rank calls it with the prompts of its next passes.
        """
        missing = not all(self.policy.has_cached_features(encode(name)) for name in names)
        tower = self.policy.tower
        with self._whole(tower) if any(gather_objects(missing)) else nullcontext():
            return {name: self.policy.frozen_features(encode(name)).cpu() for name in names}

    @contextmanager
    def gathered(self) -> Iterator[Policy]:
        """Whole weights on every rank and no ZeRO hooks, during a rollout."""
        offloaded = (
            self._offload.offloaded(self._engine.optimizer.optimizer) if self._offload else nullcontext()
        )
        with offloaded, self._whole(self.policy):
            yield self.policy

    @contextmanager
    def _whole(self, module: torch.nn.Module) -> Iterator[None]:
        # DeepSpeed's own `unwrap_model_for_generation` leaves the hooks off when the body raises.
        offload = self._engine.optimizer.parameter_offload
        # ZeRO-3's linear function releases weights before backward; without a backward it only costs time.
        sharded_linear = F.linear
        with GatheredParameters(list(module.parameters())):
            for hook in (*offload.forward_hooks, *offload.backward_hooks):
                hook.remove()
            offload.forward_hooks, offload.backward_hooks = [], []
            F.linear = torch._C._nn.linear
            try:
                yield
            finally:
                F.linear = sharded_linear
                offload._register_deepspeed_module(offload.module)

    def save(self, directory: Path) -> None:
        """Every rank's ZeRO state under `directory`; all ranks call it."""
        self._engine.save_checkpoint(str(directory), tag=ZERO_TAG, save_latest=False)

    def load(self, directory: Path, saved_by: int, scratch: Path) -> None:
        """Restores what `save` wrote on `saved_by` ranks, on any number of ranks; all ranks call it.

        `scratch`: directory for the converted checkpoint, where the number of ranks differs.
        """
        if saved_by == world_size():
            self._load(directory)
            return
        with universal_copy(directory / ZERO_TAG, scratch) as copy:
            self._engine._config.load_universal_checkpoint = True
            try:
                self._load(copy)
            finally:
                self._engine._config.load_universal_checkpoint = False

    def _load(self, directory: Path) -> None:
        with restricted_pickles(directory), corrected_load(self._engine.optimizer.optimizer):
            loaded, _ = self._engine.load_checkpoint(str(directory), tag=ZERO_TAG)
        if loaded is None:
            raise UserError(f"{directory}: holds no ZeRO state; resume from another checkpoint")

    def export(self, directory: Path, lora: LoraConfig, base: str) -> None:
        """A Hugging Face model directory; all ranks call it, rank 0 writes. `base`: of the adapters."""
        state = self._engine._zero3_consolidated_16bit_state_dict()
        if state is None or self._engine.global_rank != 0:
            return
        ours = {name.removeprefix("model."): state[name] for name in state if name.startswith("model.")}
        model: Any = self.policy.model
        if lora.rank is not None and lora.export == "adapter":
            save_adapters(ours, peft_config(lora, base), directory)
            return
        if lora.rank is not None:
            ours = dict(merged(ours, lora.alpha / lora.rank))
        # Under ZeRO-3 transformers keeps renamings that loading never used, and would write
        # `model.model.layers`; without them it writes the published names.
        model._weight_conversions = None
        with silence_progress():
            model.save_pretrained(directory, state_dict=ours)


class BaseReference:
    """The policy without its adapters: the initial policy."""

    def __init__(self, policy: ZeroPolicy) -> None:
        self._policy = policy

    def score(self, batch: PackedBatch) -> torch.Tensor:
        """Log-probs [T]."""
        with without_adapters(self._policy.policy.model):
            return self._policy.score(batch)[0]

    def abandon_pass(self) -> None:
        """Does nothing: the policy releases the weights."""


class ZeroReference:
    """The frozen reference policy, sharded like the trained one."""

    def __init__(self, policy: Policy, config: dict[str, Any]) -> None:
        policy.requires_grad_(False)
        self._engine = deepspeed.initialize(model=policy, config=config)[0]
        self._engine.eval()

    def score(self, batch: PackedBatch) -> torch.Tensor:
        """Log-probs [T]."""
        device = torch.device(get_accelerator().current_device_name())
        with torch.no_grad():
            return self._engine(batch.to(device))[0]

    def abandon_pass(self) -> None:
        """After a pass that an error interrupted on the only rank: releases gathered weights."""
        _release_weights(self._engine.optimizer, self._engine.optimizer)


def _release_weights(optimizer: Any, offload: Any) -> None:
    coordinator = offload.get_param_coordinator()
    if not coordinator.is_invalid_trace():
        # The order of the modules' gathers was recorded only in part.
        coordinator._invalidate_trace()
    offload.partition_all_parameters()
    kept = offload.persistent_parameters
    if kept:
        kept[0].all_gather(kept)
    get_accelerator().empty_cache()


def zero_init(config: dict[str, Any]) -> HfDeepSpeedConfig:
    """While the returned object exists, `from_pretrained` loads directly into ZeRO-3 shards."""
    return HfDeepSpeedConfig(config)
