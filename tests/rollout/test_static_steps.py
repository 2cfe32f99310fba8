"""A decode step can be captured as a CUDA graph: it never reads a value of a tensor on the host.

Tensors of `FakeTensorMode` have shapes and dtypes but no values, and reading one raises. They are on the CPU,
because a torch without CUDA cannot slice fake CUDA tensors.
"""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensor, FakeTensorMode

from tests.support.tiny import tiny_policy
from vlm_uec.model.policy import Policy
from vlm_uec.rollout.cache import LENGTH_STEP, PoolSize, PromptCache, View
from vlm_uec.rollout.pool import Pool

SLOTS, WIDTH = 16, 40


def fake_pool(policy: Policy, dtype: torch.dtype) -> Pool:
    """A pool of fake tensors, with fake weights; must be called in a fake mode."""
    for module in policy.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                module._parameters[name] = torch.nn.Parameter(torch.empty(weight.shape, dtype=dtype))
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)
    keys = tuple(torch.empty(2, 5, 12, dtype=dtype) for _ in range(2))
    prompt = PromptCache(keys, keys, torch.empty(1, 96), 5)
    pool = Pool(policy, frozenset([1, 2]), PoolSize(SLOTS, 8, 5, WIDTH), prompt)
    pool.cache.table.assign(0, prompt)
    return pool


@pytest.mark.parametrize("modes", [(False, False), (True, True)], ids=["plain", "tempered nucleus"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_never_synchronises_with_the_host(dtype: torch.dtype, modes: tuple[bool, bool]) -> None:
    policy = tiny_policy()
    with FakeTensorMode(), torch.inference_mode():
        pool = fake_pool(policy, dtype)
        pool._tempered, pool._nucleus = modes
        for view in (View(SLOTS, SLOTS, LENGTH_STEP, 1), View(8, 8, WIDTH, 2)):
            pool.step(view)
        assert isinstance(pool._last, FakeTensor)
        assert pool.cache._keys[0].dtype == dtype
        # Reading the state synchronises, so this mode raises.
        with pytest.raises(DataDependentOutputException):
            pool.state(8)
