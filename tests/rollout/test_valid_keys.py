"""Attention over valid keys against the masked form; the CUDA kernel is replaced by a loop over sequences."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from tests.rollout.test_static_steps import fake_pool
from tests.support.tiny import tiny_policy
from vlm_uec.rollout import cache as rollout_cache
from vlm_uec.rollout import valid_keys
from vlm_uec.rollout.cache import PoolSize, PromptCache, SlotCache, View

SLOTS, GROUPS, HEADS, KEY_HEADS, SIZE, SCALE = 16, 8, 6, 2, 8, 0.4
WIDTH = 40


def _looped_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    query_bounds: torch.Tensor,
    key_bounds: torch.Tensor,
    longest: tuple[int, int],
    key_lengths: torch.Tensor,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Every sequence by itself. Queries of no sequence get NaN, as memory that a kernel does not write."""
    output, log_sum = torch.full_like(query, math.nan), torch.full(query.shape[:1], math.nan)
    assert query_bounds.dtype == key_bounds.dtype == key_lengths.dtype == torch.int32
    for number, length in enumerate(key_lengths.tolist()):
        queries = slice(*query_bounds[number : number + 2].tolist())
        start = int(key_bounds[number])
        assert queries.stop - queries.start <= longest[0]
        assert 1 <= length <= longest[1]
        scores = query[queries] @ key[start : start + length].T * scale
        output[queries] = torch.softmax(scores, dim=-1) @ value[start : start + length]
        log_sum[queries] = torch.logsumexp(scores, dim=-1)
    return output, log_sum


@pytest.fixture
def looped_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valid_keys, "varlen_attention", _looped_attention)


def test_a_right_kernel_is_accepted(looped_kernel: None) -> None:
    valid_keys.kernel_is_right.cache_clear()
    assert valid_keys.kernel_is_right(torch.device("cpu"), torch.float32, SIZE)


@pytest.mark.parametrize("fault", ["lengths", "log_sum", "error"])
def test_a_wrong_kernel_is_replaced_by_the_masked_form(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    looped: Any = _looped_attention

    def wrong(*arguments: Any) -> tuple[torch.Tensor, torch.Tensor]:
        *first, lengths, scale = arguments
        if fault == "error":
            raise RuntimeError("no kernel image is available")
        if fault == "lengths":  # attends to every key of the slot
            return looped(*first, torch.full_like(lengths, 64), scale)
        output, log_sum = looped(*first, lengths, scale)
        return output, log_sum / math.log(2)  # in base 2

    monkeypatch.setattr(valid_keys, "varlen_attention", wrong)
    valid_keys.kernel_is_right.cache_clear()
    assert not valid_keys.kernel_is_right(torch.device("cpu"), torch.float32, SIZE)
    assert "attention over valid keys does not work on cpu" in caplog.text


def _prompt(length: int, seed: int) -> PromptCache:
    generator = torch.Generator().manual_seed(seed)
    keys, values = torch.randn(2, KEY_HEADS, length, SIZE, generator=generator)
    return PromptCache((keys,), (values,), torch.zeros(1, 3), length)


def _pair(monkeypatch: pytest.MonkeyPatch) -> tuple[SlotCache, SlotCache]:
    """A masked cache and one with attention over valid keys."""
    like, size = _prompt(5, 0), PoolSize(SLOTS, GROUPS, 40, WIDTH)
    masked = SlotCache(size, HEADS, like)
    with monkeypatch.context() as patch:
        patch.setattr(rollout_cache, "supports_valid_keys", lambda keys: True)
        return masked, SlotCache(size, HEADS, like)


def _check_steps(masked: SlotCache, valid: SlotCache, rows: int, steps: int) -> None:
    for cache in (masked, valid):
        cache.upload_layout()
    generator = torch.Generator().manual_seed(rows)
    for _ in range(steps):
        query = torch.randn(SLOTS, HEADS, SIZE, generator=generator)
        key, value = torch.randn(2, SLOTS, KEY_HEADS, SIZE, generator=generator)
        longest = int(masked.lengths.max()) + 1
        expected, outputs = (
            cache.attend(0, query, key, value, cache.step_positions(cache.view(rows, longest)), SCALE)
            for cache in (masked, valid)
        )
        torch.testing.assert_close(outputs[:rows], expected[:rows], rtol=0, atol=1e-5)
        assert outputs.isfinite().all(), "idle rows too"
        for cache in (masked, valid):
            cache.lengths[:rows] += 1


@pytest.mark.usefixtures("looped_kernel")
def test_valid_keys_give_the_masked_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine rows of one prompt (two prefix groups), one and two of others; releases, moves and refills."""
    caches = _pair(monkeypatch)
    many, one, few = _prompt(40, 1), _prompt(3, 2), _prompt(33, 3)
    for cache in caches:
        for slot, prompt in enumerate([*[many] * 5, one, *[many] * 4, few, few]):
            cache.admit(slot, prompt)
    _check_steps(*caches, rows=12, steps=3)
    for cache in caches:
        cache.release(5)  # the only row of its prompt: the last prefix group moves
        cache.move(11, 5)
        cache.release(2)
        cache.admit(2, few)
    _check_steps(*caches, rows=11, steps=3)
    for cache in caches:
        for slot in range(10, 0, -1):
            cache.release(slot)
    _check_steps(*caches, rows=1, steps=2)
    lengths = caches[1].step_positions(caches[1].view(1, 9))
    assert isinstance(lengths, valid_keys.KeyLengths)
    assert lengths.response.tolist() == [9, 9] + [1] * 30, "free slots attend to one position"


def test_a_view_depends_on_the_number_of_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five graphs for 128 slots, at any length and number of prompts."""
    monkeypatch.setattr(rollout_cache, "supports_valid_keys", lambda keys: True)
    cache = SlotCache(PoolSize(128, GROUPS, 40, WIDTH), HEADS, _prompt(5, 0))
    cache._cuda = True  # views of a CPU keep all slots
    views = {cache.view(rows, longest) for rows in range(1, 129) for longest in (1, 20, 40)}
    cache.admit(0, _prompt(3, 1))
    assert views == {View(slots, slots, 64, GROUPS) for slots in (8, 16, 32, 64, 128)}
    assert cache.view(1, 7) in views


def test_a_step_over_valid_keys_never_synchronises_with_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """With torch's own kernel, on fake tensors."""
    monkeypatch.setattr(rollout_cache, "supports_valid_keys", lambda keys: True)
    policy = tiny_policy()
    with FakeTensorMode(), torch.inference_mode():
        pool = fake_pool(policy, torch.bfloat16)
        for slots in (16, 8):
            pool.step(View(slots, slots, 64, 8))
        assert isinstance(pool._last, FakeTensor)


def test_a_cpu_and_fp32_keep_the_masked_form() -> None:
    assert not valid_keys.supports_valid_keys(torch.zeros(1, dtype=torch.bfloat16))
    assert not valid_keys.supports_valid_keys(torch.zeros(1))
