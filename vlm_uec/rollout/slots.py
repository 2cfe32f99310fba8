"""How many responses are decoded at a time, and in how many prefix groups."""

from __future__ import annotations

import torch

from vlm_uec.rollout.cache import ROW_STEP, PoolSize, PromptCache, round_up
from vlm_uec.rollout.engine import RolloutShape
from vlm_uec.rollout.prefix_groups import ROWS_PER_PREFIX_GROUP

# With fewer, matrix products use another kernel and a row's last bits change.
MIN_SLOTS = 8
CPU_SLOTS = 64
MAX_SLOTS = 512  # beyond, a decode step is no longer bound by the reading of weights
# Share of the free memory; the rest is for activations, logits and waiting prompts.
CACHE_SHARE = 0.7
# Factor that exploration may add: the paper's 20 hot responses to 5 regular ones.
FOLLOW_UPS = 4


def pool_size(requested: int | None, shape: RolloutShape, like: PromptCache) -> PoolSize:
    """The requested slots, or as many as fit into free memory.

    On a CPU the number does not depend on free memory, so that reruns are equal bit for bit.
    """
    if requested is None and like.logits.is_cuda:
        free, _ = torch.cuda.mem_get_info(like.logits.device)
        # Memory that this process has reserved but does not use is free as well.
        free += torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        position = sum(tensor[:, 0].nbytes for tensor in (*like.keys, *like.values))
        return fitting_size(int(free * CACHE_SHARE) // position, shape)
    return _size(CPU_SLOTS if requested is None else max(requested, MIN_SLOTS), shape)


def fitting_size(positions: int, shape: RolloutShape) -> PoolSize:
    """The largest size, in whole row steps, whose caches hold at most `positions`."""
    most = min(MAX_SLOTS, round_up(shape.responses * FOLLOW_UPS, ROW_STEP))
    for slots in range(most, MIN_SLOTS, -ROW_STEP):
        size = _size(slots, shape)
        if size.positions <= positions:
            return size
    return _size(MIN_SLOTS, shape)


def _size(slots: int, shape: RolloutShape) -> PoolSize:
    return PoolSize(slots, prefix_group_count(slots, shape.group), shape.prompt_tokens, shape.max_tokens)


def prefix_group_count(slots: int, group: int) -> int:
    """Prefix groups for so many slots: four times what full groups would need, and at most one a slot.

    A prompt keeps its group until its longest response ends.
    """
    return min(slots, max(ROW_STEP, 4 * slots // min(group, ROWS_PER_PREFIX_GROUP)))
