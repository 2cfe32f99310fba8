"""How many responses are decoded at a time."""

from __future__ import annotations

import torch

from vlm_uec.rollout.cache import ROW_STEP, PromptCache, lane_count, round_up

# Below, matrix products take another path and a row's last bits change.
MIN_SLOTS = 8
CPU_SLOTS = 64
MAX_SLOTS = 512  # beyond, a decode step is no longer bound by the reading of weights
# Of the free memory: the rest is for activations, logits and prompts that wait.
CACHE_SHARE = 0.7


def slot_count(asked: int | None, responses: int, prompt_tokens: int, width: int, like: PromptCache) -> int:
    """The asked number, or what free memory holds: slots of `width` positions and the lanes of their prompts.

    On a CPU the number must not depend on free memory, where a rerun has to be equal bit for bit.
    """
    if asked is not None:
        return max(asked, MIN_SLOTS)
    if not like.keys[0].is_cuda:
        return CPU_SLOTS
    free, _ = torch.cuda.mem_get_info(like.keys[0].device)
    # What this process has reserved and does not use is free to it as well.
    free += torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    position = sum(tensor[:, 0].nbytes for tensor in (*like.keys, *like.values))
    return fitting_slots(int(free * CACHE_SHARE) // position, responses, prompt_tokens, width)


def fitting_slots(positions: int, responses: int, prompt_tokens: int, width: int) -> int:
    """The most slots, in whole row steps, whose caches hold at most so many positions."""
    slots = min(MAX_SLOTS, round_up(responses, ROW_STEP))
    while slots > MIN_SLOTS and slots * width + lane_count(slots) * prompt_tokens > positions:
        slots -= ROW_STEP
    return max(MIN_SLOTS, slots)
