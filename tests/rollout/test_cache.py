from __future__ import annotations

import pytest
import torch

from tests.support.oracles import dense_attention
from vlm_uec.rollout.cache import PoolSize, PromptCache, SlotCache, View, attend_part, merge
from vlm_uec.rollout.engine import RolloutShape
from vlm_uec.rollout.slots import fitting_size, pool_size, prefix_group_count

LAYERS, HEADS, KEY_HEADS, SIZE, SCALE = 2, 4, 2, 8, 0.4
SLOTS = 16


def _prompt(length: int, seed: int) -> PromptCache:
    generator = torch.Generator().manual_seed(seed)
    keys, values = (
        tuple(torch.randn(KEY_HEADS, length, SIZE, generator=generator) for _ in range(LAYERS))
        for _ in range(2)
    )
    return PromptCache(keys, values, torch.zeros(1, 3), length)


class _NaiveCache:
    """One response's cache: its prompt, and lists of its own keys and values of each layer."""

    def __init__(self, prompt: PromptCache) -> None:
        self.prompt = prompt
        self.keys: list[list[torch.Tensor]] = [[] for _ in range(LAYERS)]
        self.values: list[list[torch.Tensor]] = [[] for _ in range(LAYERS)]

    def attend(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        self.keys[layer].append(key)
        self.values[layer].append(value)
        keys = torch.cat([self.prompt.keys[layer], torch.stack(self.keys[layer], dim=1)], dim=1)
        values = torch.cat([self.prompt.values[layer], torch.stack(self.values[layer], dim=1)], dim=1)
        visible = torch.ones(1, keys.shape[1], dtype=torch.bool)
        return dense_attention(query[:, None], keys, values, visible, SCALE)[0]


class _CachePair:
    """A slot cache and naive caches with the same contents."""

    def __init__(self, width: int, prompts: list[PromptCache]) -> None:
        longest = max(prompt.length for prompt in prompts)
        self.cache = SlotCache(PoolSize(SLOTS, 8, longest, width), HEADS, prompts[0])
        self.naive: list[_NaiveCache] = []
        self.generator = torch.Generator().manual_seed(7)

    def admit(self, prompt: PromptCache) -> None:
        self.cache.admit(len(self.naive), prompt)
        self.naive.append(_NaiveCache(prompt))
        self.cache.upload_layout()

    def end(self, slot: int) -> None:
        """Ends the slot's response and moves the last response into the slot."""
        self.cache.release(slot)
        last = self.naive.pop()
        if slot < len(self.naive):
            self.cache.move(len(self.naive), slot)
            self.naive[slot] = last
        self.cache.upload_layout()

    def replace(self, slot: int, prompt: PromptCache) -> None:
        self.cache.release(slot)
        self.cache.admit(slot, prompt)
        self.naive[slot] = _NaiveCache(prompt)
        self.cache.upload_layout()

    def check_step(self) -> None:
        rows = len(self.naive)
        view = self.cache.view(rows, 1 + max(len(response.keys[0]) for response in self.naive))
        positions = self.cache.step_positions(view)
        for layer in range(LAYERS):
            query = torch.randn(SLOTS, HEADS, SIZE, generator=self.generator)
            key, value = torch.randn(2, SLOTS, KEY_HEADS, SIZE, generator=self.generator)
            outputs = self.cache.attend(layer, query, key, value, positions, SCALE)
            expected = [
                response.attend(layer, query[row], key[row], value[row])
                for row, response in enumerate(self.naive)
            ]
            assert outputs.shape == query.shape
            torch.testing.assert_close(outputs[:rows], torch.stack(expected), rtol=0, atol=1e-5)
            assert outputs.isfinite().all()
            assert not outputs[view.rows :].any(), "rows outside the view are idle"
        self.cache.lengths[:rows] += 1


def test_a_slot_attends_to_its_prompt_and_its_own_response_only() -> None:
    """Nine rows of one prompt (two prefix groups), one and two of others; two length steps; refills."""
    many, one, few = _prompt(40, 1), _prompt(3, 2), _prompt(33, 3)
    pair = _CachePair(40, [many, one, few])
    for prompt in [*[many] * 5, one, *[many] * 4, few, few]:
        pair.admit(prompt)
    assert pair.cache.table.used == 4
    for _ in range(34):
        pair.check_step()
    pair.end(5)  # the only row of its prompt: the last prefix group moves
    pair.check_step()
    pair.replace(2, few)
    pair.admit(one)
    pair.check_step()
    pair.end(len(pair.naive) - 1)
    while len(pair.naive) > 1:
        pair.end(0)
        pair.check_step()


def test_stale_keys_of_earlier_prompts_are_masked() -> None:
    """Also those beyond the end of a shorter prompt in the same prefix group."""
    long, short = _prompt(32, 4), _prompt(1, 5)
    pair = _CachePair(8, [long, short])
    pair.admit(long)
    pair.check_step()
    pair.replace(0, short)
    pair.check_step()


def test_the_view_of_a_step() -> None:
    """Rows in steps of 8, positions in steps of 32 up to the width (33 rounded up), used prefix groups."""
    cache = SlotCache(PoolSize(SLOTS, 8, 5, 33), HEADS, _prompt(5, 1))
    cache.admit(0, _prompt(5, 1))
    assert cache.view(1, 1) == View(slots=16, rows=8, length=32, prefix_groups=1)
    assert cache.view(8, 32) == View(slots=16, rows=8, length=32, prefix_groups=1)
    assert cache.view(9, 33) == View(slots=16, rows=16, length=64, prefix_groups=1)
    assert cache.view(16, 64) == View(slots=16, rows=16, length=64, prefix_groups=1)


@pytest.mark.parametrize("strength", [1.0, 30.0], ids=["even", "one key outweighs the rest"])
@pytest.mark.parametrize("split", [1, 6, 11])
def test_two_parts_merge_to_attention_over_both(split: int, strength: float) -> None:
    generator = torch.Generator().manual_seed(split)
    query = torch.randn(3, KEY_HEADS, 4, SIZE, generator=generator) * strength
    key, value = torch.randn(2, 3, KEY_HEADS, 12, SIZE, generator=generator)
    visible = torch.rand(3, 12, generator=generator) < 0.7
    visible[:, [0, 11]] = True  # neither part is empty
    bias = torch.zeros(3, 1, 1, 12).masked_fill(~visible[:, None, None], -torch.inf)
    first, second = (
        attend_part(query, key[:, :, part], value[:, :, part], bias[..., part], SCALE)
        for part in (slice(split), slice(split, None))
    )
    merged = merge(first, second)
    for row in range(3):
        mask = visible[row].expand(4, -1)
        expected = dense_attention(query[row], key[row], value[row], mask, SCALE)
        torch.testing.assert_close(merged[row], expected, rtol=0, atol=1e-5)


def test_merging_weights_parts_by_their_sums() -> None:
    """Log-sums 0 and log 3: a quarter of the first and three quarters of the second."""
    one = torch.ones(1, 1, 1, 2)
    first = attend_part(one * 0, one * 0, one, torch.zeros(1, 1, 1, 1), 1.0)
    keys = torch.zeros(1, 1, 3, 2)
    second = attend_part(one * 0, keys, keys + 5, torch.zeros(1, 1, 1, 3), 1.0)
    assert float(first.log_sum) == 0
    assert merge(first, second).flatten().tolist() == pytest.approx([4.0, 4.0])


def test_with_many_queries_per_key_head_the_full_width_is_read() -> None:
    cache = SlotCache(PoolSize(SLOTS, 8, 5, 300), 3 * KEY_HEADS, _prompt(5, 1))
    assert cache.view(1, 1) == View(slots=16, rows=8, length=320, prefix_groups=0)


@pytest.mark.parametrize(
    ("slots", "group", "prefix_groups"),
    [(8, 8, 8), (16, 8, 8), (24, 8, 12), (64, 8, 32), (64, 20, 32), (64, 5, 51), (64, 1, 64), (512, 8, 256)],
)
def test_prefix_groups_for_slots(slots: int, group: int, prefix_groups: int) -> None:
    """Four times as many as full groups need, with up to eight responses each; at most one per slot."""
    assert prefix_group_count(slots, group) == prefix_groups


@pytest.mark.parametrize(
    ("positions", "responses", "slots"),
    [
        (3000, 6, 24),  # 24 slots of 100 and 12 prefix groups of 50
        (10**9, 6, 24),  # 6 and up to 18 follow-ups
        (2999, 6, 16),
        (2000, 6, 16),  # 16 slots of 100 and 8 prefix groups of 50
        (1999, 6, 8),
        (10, 6, 8),  # the minimum
        (10**9, 1, 8),
        (10**9, 10_000, 512),  # the maximum
    ],
)
def test_slots_that_fit(positions: int, responses: int, slots: int) -> None:
    size = fitting_size(positions, RolloutShape(responses, group=8, prompt_tokens=50, max_tokens=100))
    assert size == PoolSize(slots, prefix_group_count(slots, 8), 50, 100)


@pytest.mark.parametrize(("requested", "slots"), [(None, 64), (3, 8), (8, 8), (20, 20)])
def test_slots_on_a_cpu_do_not_depend_on_free_memory(requested: int | None, slots: int) -> None:
    assert pool_size(requested, RolloutShape(1000, 8, 50, 10**9), _prompt(5, 1)).slots == slots
