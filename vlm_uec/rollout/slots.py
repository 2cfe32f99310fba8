"""Number of responses that are decoded at a time, and number of prefix groups."""

from __future__ import annotations

import torch

from vlm_uec.rollout.cache import ROW_STEP, PoolSize, PromptCache, round_up
from vlm_uec.rollout.engine import RolloutShape
from vlm_uec.rollout.prefix_groups import ROWS_PER_PREFIX_GROUP

# With fewer slots, matrix products use another kernel and a row's last bits change.
MIN_SLOTS = 8
CPU_SLOTS = 64
MAX_SLOTS = 512  # with more, a decode step is no longer bound by reading the weights
# Share of the free memory; the rest is for activations, logits and waiting prompts.
CACHE_SHARE = 0.7
# Factor for exploration: 20 exploration responses to 5 regular ones in the paper.
FOLLOW_UP_FACTOR = 4


def pool_size(requested: int | None, shape: RolloutShape, like: PromptCache) -> PoolSize:
    """The requested number of slots, or as many as fit into free memory.

    On a CPU the number does not depend on free memory, so that reruns are equal bit for bit.
    """
    if requested is None and like.logits.is_cuda:
        free, _ = torch.cuda.mem_get_info(like.logits.device)
        # Memory that this process has reserved but does not use also counts as free.
        free += torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        position_bytes = sum(tensor[:, 0].nbytes for tensor in (*like.keys, *like.values))
        return fitting_size(int(free * CACHE_SHARE) // position_bytes, shape)
    return _size(CPU_SLOTS if requested is None else max(requested, MIN_SLOTS), shape)


def fitting_size(positions: int, shape: RolloutShape) -> PoolSize:
    """The largest size, in whole row steps, whose caches hold at most `positions`."""
    largest = min(MAX_SLOTS, round_up(shape.responses * FOLLOW_UP_FACTOR, ROW_STEP))
    for slots in range(largest, MIN_SLOTS, -ROW_STEP):
        size = _size(slots, shape)
        if size.positions <= positions:
            return size
    return _size(MIN_SLOTS, shape)


def _size(slots: int, shape: RolloutShape) -> PoolSize:
    return PoolSize(slots, prefix_group_count(slots, shape.group), shape.prompt_tokens, shape.max_tokens)


def prefix_group_count(slots: int, group: int) -> int:
    """Prefix groups for `slots` slots: four times as many as full groups need, and at most one per slot.

    A prompt keeps its group until its longest response ends.
    """
    return min(slots, max(ROW_STEP, 4 * slots // min(group, ROWS_PER_PREFIX_GROUP)))
