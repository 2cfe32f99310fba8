"""Operations of a decode step as a GPU runs it, counted on tensors without values.

A torch without CUDA cannot slice fake CUDA tensors, so they are fake CPU tensors that claim to be on CUDA.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any
from unittest.mock import patch

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from vlm_uec.model.policy import Policy
from vlm_uec.rollout import valid_keys
from vlm_uec.rollout.cache import PoolSize, PromptCache, View
from vlm_uec.rollout.pool import Pool

_NO_KERNEL = {"empty", "empty_like", "new_empty", "empty_strided", "detach", "lift_fresh", "_unsafe_view"}


class OperationCounter(TorchDispatchMode):
    """Counts the operations that launch at least one kernel: all but views and allocations."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        outputs = func(*args, **(kwargs or {}))
        name = func._schema.name.split("::")[1]
        returned = [argument for argument in func._schema.returns if argument.alias_info is not None]
        is_view = bool(returned) and not any(argument.alias_info.is_write for argument in returned)
        if not is_view and name not in _NO_KERNEL and any(map(torch.is_tensor, tree_leaves(outputs))):
            self.operations[name] += 1
        return outputs


@contextmanager
def fake_cuda() -> Iterator[None]:
    """Fake tensors that claim to be on CUDA."""
    with (
        FakeTensorMode(allow_non_fake_inputs=True),
        patch.object(FakeTensor, "is_cuda", property(lambda tensor: True)),
        # Tensors without values cannot be compared.
        patch.object(valid_keys, "kernel_is_right", lambda *_: True),
        torch.inference_mode(),
    ):
        yield


def fake_policy(config: Qwen2_5_VLConfig) -> Policy:
    """A bf16 policy; must be called in `fake_cuda`."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        # A copy: the policy changes the config of its model.
        model = Qwen2_5_VLForConditionalGeneration(deepcopy(config))
    finally:
        torch.set_default_dtype(default)
    text: Any = config.text_config
    return Policy(model, torch.zeros(text.vocab_size, dtype=torch.bool))


def decode_operations(
    config: Qwen2_5_VLConfig, size: PoolSize, *, tempered: bool, nucleus: bool
) -> Counter[str]:
    """Operations of a step over all slots by name."""
    text: Any = config.text_config
    with fake_cuda():
        policy = fake_policy(config)
        shape = (text.num_key_value_heads, size.prompt_tokens, text.hidden_size // text.num_attention_heads)
        keys = tuple(torch.empty(shape, dtype=torch.bfloat16) for _ in range(text.num_hidden_layers))
        prompt = PromptCache(keys, keys, torch.empty(1, text.vocab_size), size.prompt_tokens)
        pool = Pool(policy, frozenset({1, 2}), size, prompt)
        pool._tempered, pool._nucleus = tempered, nucleus
        view = View(size.slots, size.slots, size.width, size.prefix_groups)
        with OperationCounter() as counter:
            pool.step(view)
    return counter.operations
