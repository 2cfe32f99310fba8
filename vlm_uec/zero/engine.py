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
from vlm_uec.model.adapters import merge_adapters, peft_config, save_adapters, without_adapters
from vlm_uec.model.host_memory import keep_freed_memory
from vlm_uec.model.load import silence_progress
from vlm_uec.model.packing import PackedBatch
from vlm_uec.model.policy import Policy
from vlm_uec.ranks.collectives import gather_objects, world_size
from vlm_uec.ranks.rendezvous import Rendezvous
from vlm_uec.types import EncodedPrompt
from vlm_uec.zero.checkpoint import correct_loaded_state, restricted_pickles, universal_checkpoint
from vlm_uec.zero.config import offloads
from vlm_uec.zero.leaf_modules import mark_leaf_modules
from vlm_uec.zero.offload import StateOffload
from vlm_uec.zero.optimizer import make_optimizer

ZERO_TAG = "zero"
DEFAULT_TIMEOUT = timedelta(minutes=30)


def start_distributed(rendezvous: Rendezvous, timeout: timedelta = DEFAULT_TIMEOUT) -> None:
    """Creates the process group of a rendezvous; `timeout`: of every collective."""
    device = get_accelerator().device_name()
    device_options = {}
    if device == "cpu":
        keep_freed_memory()
    else:
        # Object collectives use the current device, before any model is loaded on it.
        local = int(os.environ["LOCAL_RANK"])
        get_accelerator().set_device(local)
        if device == "cuda":
            device_options = {"device_id": get_accelerator().device(local)}
    # DeepSpeed uses collectives' names that torch 2.13 deprecates; the warnings are harmless.
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch.distributed")
    # Compiling it takes a minute and fails without a compiler; gloo and NCCL do not need it.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    torch.distributed.init_process_group(
        get_accelerator().communication_backend_name(),
        store=rendezvous.store,
        rank=rendezvous.rank,
        world_size=rendezvous.ranks,
        timeout=timeout,
        **device_options,
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
        """`offload_states`: keep optimizer states in host memory within `gathered`."""
        parameters = [parameter for parameter in policy.parameters() if parameter.requires_grad]
        optimizer = make_optimizer(parameters, optim, config)
        mark_leaf_modules(policy)
        self.policy = policy
        self._engine = deepspeed.initialize(model=policy, optimizer=optimizer, config=config)[0]
        on_host = offloads(config["zero_optimization"], "offload_optimizer")
        self._offload = StateOffload() if offload_states and not on_host else None

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

    def set_lr(self, lr: float) -> None:
        """Sets the learning rate of the next optimizer steps."""
        for group in self._engine.optimizer.param_groups:
            group["lr"] = lr

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
        """Accumulates gradients. DeepSpeed averages over ranks: scale global sums by the world size."""
        self._engine.backward(loss)

    def step(self) -> float | None:
        """One optimizer step with the accumulated gradients; returns the gradient norm before clipping.

        Returns None on all ranks if the norm is not finite: DeepSpeed then drops the gradient, and weights
        and moments are unchanged.
        """
        self._engine.step()
        norm = float(self._engine.get_global_grad_norm())
        return norm if math.isfinite(norm) else None

    def discard(self) -> None:
        """Drops the gradients accumulated since the last step; every rank calls it."""
        self._engine.zero_grad()  # gradients that an interrupted pass has not reduced yet
        self._engine.optimizer._overflow_clean_up(None)  # as DeepSpeed does after an overflow

    def abandon_pass(self) -> None:
        """Drops gradients and releases weights after an error interrupted a pass; for a single rank."""
        for bucket in self._engine.optimizer.ipg_buckets.values():
            bucket.clear_params()  # gradients not yet reduced
        self.discard()
        _release_weights(self._engine.optimizer, self._engine.optimizer.parameter_offload)

    @property
    def tower_frozen(self) -> bool:
        return self.policy.tower is not None and self.policy.frozen.tower

    def frozen_features(
        self, names: Sequence[str], encode: Callable[[str], EncodedPrompt]
    ) -> dict[str, torch.Tensor]:
        """Image features of prompts from a frozen tower, on the CPU.

        Every rank calls it with the prompts of its next passes.
        """
        missing = not all(self.policy.has_cached_features(encode(name)) for name in names)
        tower = self.policy.tower
        with self._gather_weights(tower) if any(gather_objects(missing)) else nullcontext():
            return {name: self.policy.frozen_features(encode(name)).cpu() for name in names}

    @contextmanager
    def gathered(self) -> Iterator[Policy]:
        """Gathers all weights on every rank and removes ZeRO's hooks, for a rollout."""
        offloaded = (
            self._offload.offloaded(self._engine.optimizer.optimizer) if self._offload else nullcontext()
        )
        with offloaded, self._gather_weights(self.policy):
            yield self.policy

    @contextmanager
    def _gather_weights(self, module: torch.nn.Module) -> Iterator[None]:
        # DeepSpeed's `unwrap_model_for_generation` does not restore the hooks after an exception.
        offload = self._engine.optimizer.parameter_offload
        # ZeRO-3's linear function releases weights for backward, which is not needed here.
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
        """Writes the ZeRO state under `directory`; all ranks call it."""
        self._engine.save_checkpoint(str(directory), tag=ZERO_TAG, save_latest=False)

    def load(self, directory: Path, saved_world_size: int, scratch: Path) -> None:
        """Loads what `save` wrote on `saved_world_size` ranks, on any number of ranks; all ranks call it.

        `scratch`: directory for the converted checkpoint, used if the number of ranks differs.
        """
        if saved_world_size == world_size():
            self._load(directory)
            return
        with universal_checkpoint(directory / ZERO_TAG, scratch) as copy:
            self._engine._config.load_universal_checkpoint = True
            try:
                self._load(copy)
            finally:
                self._engine._config.load_universal_checkpoint = False

    def _load(self, directory: Path) -> None:
        with restricted_pickles(directory), correct_loaded_state(self._engine.optimizer.optimizer):
            loaded, _ = self._engine.load_checkpoint(str(directory), tag=ZERO_TAG)
        if loaded is None:
            raise UserError(f"{directory}: contains no ZeRO state; resume from another checkpoint")

    def export(self, directory: Path, lora: LoraConfig, base: str) -> None:
        """Writes a Hugging Face model directory on rank 0; all ranks call it. `base`: the base model."""
        state = self._engine._zero3_consolidated_16bit_state_dict()
        if state is None or self._engine.global_rank != 0:
            return
        weights = {name.removeprefix("model."): state[name] for name in state if name.startswith("model.")}
        model: Any = self.policy.model
        if lora.rank is not None and lora.export == "adapter":
            save_adapters(weights, peft_config(lora, base), directory)
            return
        if lora.rank is not None:
            weights = dict(merge_adapters(weights, lora.alpha / lora.rank))
        # Under ZeRO-3, transformers keeps renaming rules that loading did not use, and would write
        # `model.model.layers`; without them it writes the published names.
        model._weight_conversions = None
        with silence_progress():
            model.save_pretrained(directory, state_dict=weights)


class BaseReference:
    """The reference for LoRA: the policy with its adapters disabled."""

    def __init__(self, policy: ZeroPolicy) -> None:
        self._policy = policy

    def score(self, batch: PackedBatch) -> torch.Tensor:
        """Log-probs [T]."""
        with without_adapters(self._policy.policy.model):
            return self._policy.score(batch)[0]

    def abandon_pass(self) -> None:
        """Does nothing, because the policy releases the weights."""


class ZeroReference:
    """The frozen reference policy, sharded like the trained one."""

    def __init__(self, policy: Policy, config: dict[str, Any]) -> None:
        policy.requires_grad_(False)
        mark_leaf_modules(policy)
        self._engine = deepspeed.initialize(model=policy, config=config)[0]
        self._engine.eval()

    def score(self, batch: PackedBatch) -> torch.Tensor:
        """Log-probs [T]."""
        device = torch.device(get_accelerator().current_device_name())
        with torch.no_grad():
            return self._engine(batch.to(device))[0]

    def abandon_pass(self) -> None:
        """Releases gathered weights after an error interrupted a pass; for a single rank."""
        _release_weights(self._engine.optimizer, self._engine.optimizer)


def _release_weights(optimizer: Any, offload: Any) -> None:
    coordinator = offload.get_param_coordinator()
    if not coordinator.is_invalid_trace():
        # The recorded order of the modules' gathers is incomplete.
        coordinator._invalidate_trace()
    offload.partition_all_parameters()
    persistent = offload.persistent_parameters
    if persistent:
        persistent[0].all_gather(persistent)
    get_accelerator().empty_cache()


def zero_init(config: dict[str, Any]) -> HfDeepSpeedConfig:
    """While the returned object exists, `from_pretrained` loads directly into ZeRO-3 shards."""
    return HfDeepSpeedConfig(config)
