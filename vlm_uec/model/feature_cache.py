"""Cache of picture features of a frozen vision tower, on each rank."""

from __future__ import annotations

from collections import OrderedDict

import torch

from vlm_uec.types import EncodedPrompt

MAX_BYTES = 4 << 30  # the features of some 3,000 Geometry3K pictures of the 3B model in bf16


class FeatureCache:
    """Least-recently-used cache on the CPU, keyed by picture contents: problem ids repeat across splits."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[bytes, torch.Tensor] = OrderedDict()
        self._bytes = 0

    def get(self, prompt: EncodedPrompt) -> torch.Tensor | None:
        features = self._kept.get(prompt.image_key)
        if features is not None:
            self._kept.move_to_end(prompt.image_key)
        return features

    def put(self, prompt: EncodedPrompt, features: torch.Tensor) -> None:
        # A copy: autograd cannot save tensors that were computed in inference mode.
        with torch.inference_mode(False):
            kept = torch.empty(features.shape, dtype=features.dtype)
            kept.copy_(features.detach())
        self._kept[prompt.image_key] = kept
        self._bytes += kept.nbytes
        while self._bytes > self._max_bytes and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.nbytes
