"""Estimates how many responses decode at a time on GPUs of 80 GB, and which settings make room for more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vlm_uec.config import Config
from vlm_uec.forecast.memory import cache_bytes, rank_memory
from vlm_uec.forecast.shape import ModelShape
from vlm_uec.forecast.tokens import PromptLengths, StepTokens
from vlm_uec.rollout.engine import RolloutShape
from vlm_uec.rollout.slots import CACHE_SHARE, fitting_size

GPU_BYTES = 80 * 10**9
ENOUGH = 256  # with fewer, reading the weights takes most of a decode step


def slots_lines(
    config: Config, zero: Mapping[str, Any], shape: ModelShape, prompt: PromptLengths, tokens: StepTokens
) -> list[str]:
    """The slots on one GPU; if they are few, the settings that give more, most slots first."""

    def slots(config: Config) -> int:
        occupied = rank_memory(config, zero, shape, prompt, tokens, ranks=1).rollout
        return fitting_slots(config, shape, prompt, GPU_BYTES - occupied)

    own, wanted = slots(config), min(ENOUGH, config.unit)
    fitting = f"{own} responses decode at a time" if own else "no decode slots fit"
    lines = [f"  On one GPU of 80 GB, {fitting}."]
    if own >= wanted:
        return lines
    gains = {name: slots(change(config)) for name, change in _CHANGES.items()}
    better = sorted((name for name in gains if gains[name] > own), key=lambda name: -gains[name])
    if not better:
        return [*lines, "  More slots need more GPUs."]
    return [*lines, "  More: " + "; ".join(f"{name}: {gains[name]}" for name in better) + "."]


def fitting_slots(config: Config, shape: ModelShape, prompt: PromptLengths, free: float) -> int:
    """Slots whose keys and values fit into their share of `free` bytes; 0 if the fewest do not."""
    positions = int(free * CACHE_SHARE) // cache_bytes(config, shape)
    rollout = config.rollout
    pool = fitting_size(positions, RolloutShape(config.unit, rollout.n, prompt.longest, rollout.max_tokens))
    return pool.slots if pool.positions <= positions else 0


def _changed(config: Config, section: str, **values: object) -> Config:
    changed = getattr(config, section).model_copy(update=values)
    return config.model_copy(update={section: changed})


def _offload_states(config: Config) -> Config:
    return _changed(config, "rollout", offload_states=True)


def _without_kl(config: Config) -> Config:
    return _changed(config, "loss", kl_coef=0.0)


_CHANGES: Mapping[str, Callable[[Config], Config]] = {
    "rollout.offload_states=true": _offload_states,
    "loss.kl_coef=0": _without_kl,
    "both": lambda config: _without_kl(_offload_states(config)),
    "lora.rank=64": lambda config: _changed(config, "lora", rank=64),
}
