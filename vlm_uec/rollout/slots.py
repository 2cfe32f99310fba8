"""How many responses are decoded at a time, and on how many lanes."""

from __future__ import annotations

import torch

from vlm_uec.rollout.cache import ROW_STEP, PoolSize, PromptCache, round_up
from vlm_uec.rollout.engine import RolloutShape
from vlm_uec.rollout.prefix_groups import LANE_ROWS

# Below, matrix products take another path and a row's last bits change.
MIN_SLOTS = 8
CPU_SLOTS = 64
MAX_SLOTS = 512  # beyond, a decode step is no longer bound by the reading of weights
# Of the free memory: the rest is for activations, logits and prompts that wait.
CACHE_SHARE = 0.7
# What exploration may add: the paper's 20 hot responses to 5 regular ones.
FOLLOW_UPS = 4


def pool_size(asked: int | None, shape: RolloutShape, like: PromptCache) -> PoolSize:
    """Slots as asked, or what free memory holds of them.

    On a CPU the number must not depend on free memory, where a rerun has to be equal bit for bit.
    """
    if asked is None and like.logits.is_cuda:
        free, _ = torch.cuda.mem_get_info(like.logits.device)
        # What this process has reserved and does not use is free to it as well.
        free += torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        position = sum(tensor[:, 0].nbytes for tensor in (*like.keys, *like.values))
        return fitting_size(int(free * CACHE_SHARE) // position, shape)
    return _size(CPU_SLOTS if asked is None else max(asked, MIN_SLOTS), shape)


def fitting_size(positions: int, shape: RolloutShape) -> PoolSize:
    """The most slots, in whole row steps, whose caches hold at most so many positions."""
    most = min(MAX_SLOTS, round_up(shape.responses * FOLLOW_UPS, ROW_STEP))
    for slots in range(most, MIN_SLOTS, -ROW_STEP):
        size = _size(slots, shape)
        if size.positions <= positions:
            return size
    return _size(MIN_SLOTS, shape)


def _size(slots: int, shape: RolloutShape) -> PoolSize:
    return PoolSize(slots, prefix_group_count(slots, shape.group), shape.prompt_tokens, shape.max_tokens)


def prefix_group_count(slots: int, group: int) -> int:
    """Lanes for so many slots. A prompt keeps its lane until its longest response ends, so there are four
    times those that full lanes would need, and one a slot at most."""
    return min(slots, max(ROW_STEP, 4 * slots // min(group, LANE_ROWS)))
