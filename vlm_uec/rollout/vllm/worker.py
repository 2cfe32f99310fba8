"""Extension of vLLM's workers: loads the trainer's weights, and masks banned ids.

vLLM mixes this class into its worker (`worker_extension_cls`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from vllm.config import set_current_vllm_config
from vllm.model_executor.model_loader.reload import finalize_layerwise_reload, initialize_layerwise_reload

from vlm_uec.rollout.vllm.weights import checksum

TOWER = "visual."


class WeightReceiver:
    """Methods that `collective_rpc` calls by name; the prefix avoids clashes with vLLM's methods."""

    model_runner: Any
    vllm_config: Any
    model_config: Any

    def uec_begin(self, banned: Sequence[int]) -> None:
        """Starts a weight update with vLLM's layer-wise reloading, which repacks weights for its kernels."""
        self._uec_loaded: set[str] = set()
        model = self.model_runner.get_model()
        with set_current_vllm_config(self.vllm_config):
            # An interrupted push leaves a partly loaded layer, whose parts would count towards the next push.
            # Finalizing discards them; after a complete push it does nothing.
            finalize_layerwise_reload(model, self.model_config)
            initialize_layerwise_reload(model)
        self._uec_ban(model, banned)

    def uec_load(self, name: str, tensor: torch.Tensor) -> str:
        """Loads one weight by its published name; returns the checksum of the loaded tensor."""
        device = self.model_runner.device
        on_device = tensor.to(device)
        with set_current_vllm_config(self.vllm_config), torch.device(device):
            loaded = self.model_runner.get_model().load_weights([(name, on_device)])
        if not loaded:
            raise ValueError(f"vLLM's model has no weight {name}")
        self._uec_loaded |= loaded
        return checksum(on_device)

    def uec_finish(self) -> None:
        """Ends the weight update. Raises `ValueError` if weights of the language model are missing."""
        model = self.model_runner.get_model()
        with set_current_vllm_config(self.vllm_config):
            finalize_layerwise_reload(model, self.model_config)
            _repack_tied_head(getattr(model, "language_model", model))
        expected = {name for name, _ in model.named_parameters() if not name.startswith(TOWER)}
        if missing := sorted(expected - self._uec_loaded):
            raise ValueError(f"{len(missing)} weights are missing, first {missing[0]}")

    def _uec_ban(self, model: Any, banned: Sequence[int]) -> None:
        """Masks the ids in `compute_logits`, which both of vLLM's model runners call before any sampler."""
        original = type(model).compute_logits
        ids = torch.tensor(banned, dtype=torch.int64, device=self.model_runner.device)

        def compute_logits(*args: Any, **kwargs: Any) -> torch.Tensor | None:
            logits: torch.Tensor | None = original(model, *args, **kwargs)
            return logits if logits is None else logits.index_fill_(-1, ids, float("-inf"))

        model.compute_logits = compute_logits


def _repack_tied_head(language: Any) -> None:
    """A tied head shares the embedding's weight, but on a CPU its packed copy is stale after reloading."""
    head = language.lm_head
    if getattr(head, "weight", None) is language.model.embed_tokens.weight:
        head.quant_method.process_weights_after_loading(head)
