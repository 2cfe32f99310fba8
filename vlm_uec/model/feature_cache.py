"""Cache of a frozen vision tower's image features, on each rank."""

from __future__ import annotations

from collections import OrderedDict

import torch

from vlm_uec.types import EncodedPrompt

MAX_BYTES = 4 << 30  # about 3,000 Geometry3K images with the 3B model in bf16


class FeatureCache:
    """LRU cache on the CPU, keyed by image contents, because problem ids repeat across splits."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._features: OrderedDict[bytes, torch.Tensor] = OrderedDict()
        self._bytes = 0

    def get(self, prompt: EncodedPrompt) -> torch.Tensor | None:
        features = self._features.get(prompt.image_key)
        if features is not None:
            self._features.move_to_end(prompt.image_key)
        return features

    def put(self, prompt: EncodedPrompt, features: torch.Tensor) -> None:
        # A copy: autograd cannot save tensors that were computed in inference mode.
        with torch.inference_mode(False):
            copy = torch.empty(features.shape, dtype=features.dtype)
            copy.copy_(features.detach())
        self._features[prompt.image_key] = copy
        self._bytes += copy.nbytes
        while self._bytes > self._max_bytes and len(self._features) > 1:
            _, oldest = self._features.popitem(last=False)
            self._bytes -= oldest.nbytes
