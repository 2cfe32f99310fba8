"""What vLLM's workers do for the trainer: take weights piece by piece, and never score a banned id.

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
    """Methods that `collective_rpc` calls by name; their prefix keeps them apart from vLLM's own."""

    model_runner: Any
    vllm_config: Any
    model_config: Any

    def uec_begin(self, banned: Sequence[int]) -> None:
        """Weights are about to come; vLLM's own reloading packs them for its kernels once more."""
        self._uec_loaded: set[str] = set()
        model = self.model_runner.get_model()
        with set_current_vllm_config(self.vllm_config):
            # A push that was cut off left a layer with some of its parts, and beginning anew would count them
            # towards the next push's. Ending forgets them; after a push that ended it does nothing.
            finalize_layerwise_reload(model, self.model_config)
            initialize_layerwise_reload(model)
        self._uec_ban(model, banned)

    def uec_load(self, name: str, tensor: torch.Tensor) -> str:
        """Loads one published weight; the checksum of what was loaded."""
        device = self.model_runner.device
        there = tensor.to(device)
        with set_current_vllm_config(self.vllm_config), torch.device(device):
            loaded = self.model_runner.get_model().load_weights([(name, there)])
        if not loaded:
            raise ValueError(f"vLLM knows no weight {name}")
        self._uec_loaded |= loaded
        return checksum(there)

    def uec_finish(self) -> None:
        """All weights came. Raises `ValueError` where some of the language model's did not."""
        model = self.model_runner.get_model()
        with set_current_vllm_config(self.vllm_config):
            finalize_layerwise_reload(model, self.model_config)
            _renew_tied_head(getattr(model, "language_model", model))
        wanted = {name for name, _ in model.named_parameters() if not name.startswith(TOWER)}
        if missing := sorted(wanted - self._uec_loaded):
            raise ValueError(f"{len(missing)} weights did not come, first {missing[0]}")

    def _uec_ban(self, model: Any, banned: Sequence[int]) -> None:
        """At the model's head, which both of vLLM's model runners call, whatever sampler follows."""
        plain = type(model).compute_logits
        ids = torch.tensor(banned, dtype=torch.int64, device=self.model_runner.device)

        def compute_logits(*args: Any, **kwargs: Any) -> torch.Tensor | None:
            logits: torch.Tensor | None = plain(model, *args, **kwargs)
            return logits if logits is None else logits.index_fill_(-1, ids, float("-inf"))

        model.compute_logits = compute_logits


def _renew_tied_head(language: Any) -> None:
    """A tied head shares the embedding's weight, but on a CPU it has a packed copy that reloading forgets."""
    head = language.lm_head
    if getattr(head, "weight", None) is language.model.embed_tokens.weight:
        head.quant_method.process_weights_after_loading(head)
