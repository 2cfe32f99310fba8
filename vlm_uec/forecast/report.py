"""The forecast as text in YAML comments, so that the output of `--dry-run` is still a config."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vlm_uec.checkpoint import find_checkpoint
from vlm_uec.config import Config, dump_config
from vlm_uec.config.cautions import cautions
from vlm_uec.forecast.data import DataForecast, data_forecast
from vlm_uec.forecast.decode_slots import slots_lines
from vlm_uec.forecast.memory import RankMemory, cache_bytes, checkpoint_bytes, rank_memory
from vlm_uec.forecast.preflight import preflight
from vlm_uec.forecast.shape import ModelShape, model_shape
from vlm_uec.forecast.tokens import PromptLengths, StepTokens, step_tokens
from vlm_uec.forecast.trained import trained_weights
from vlm_uec.rewards import check_reward_function, load_reward_function
from vlm_uec.rollout.engine import RolloutShape
from vlm_uec.rollout.slots import CACHE_SHARE, fitting_size
from vlm_uec.zero.config import read_deepspeed_config

RANKS = (1, 2, 4, 8)
_MIB, _GIB = 2**20, 2**30
_MEMORY_ROWS: tuple[tuple[str, Callable[[RankMemory], float]], ...] = (
    ("weights", lambda rank: rank.weights),
    ("reference policy", lambda rank: rank.reference),
    ("optimizer states", lambda rank: rank.optimizer),
    ("gradients", lambda rank: rank.gradients),
    ("rollout: gathered weights", lambda rank: rank.gathered),
    ("rollout: keys and values", lambda rank: rank.cache),
    ("update: gathered layers", lambda rank: rank.live),
    ("update: activations", lambda rank: rank.activations),
    ("update: head", lambda rank: rank.head),
    ("peak", lambda rank: rank.peak),
    ("host memory, offloaded", lambda rank: rank.host),
)


def dry_run(config: Config, ranks: int) -> str:
    """The resolved config with its forecast. Raises `UserError` if a run on this many ranks would."""
    find_checkpoint(Path(config.train.run_dir), config.resume)
    preflight(config, ranks, check_disk=False)  # a large run may be planned on a small machine
    return dump_config(config) + forecast(config)


def forecast(config: Config) -> str:
    """The forecast as text; reads the model's config and the data sets that are on this machine.

    Raises `UserError` if the run itself would.
    """
    shape = model_shape(config.model.path)
    data = data_forecast(config)
    if data.example is not None:
        check_reward_function(load_reward_function(config.reward.function), data.example)
    steps = [step_tokens(config, data.lengths, ranks) for ranks in RANKS]
    lines = [
        "",
        *(f"warning: {line}" for line in cautions(config)),
        *_data_lines(config, data),
        "",
        *_step_lines(config, steps),
        "",
    ]
    lines += _memory_lines(config, shape, data.lengths, steps) if shape else _no_memory_lines(config)
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def _data_lines(config: Config, data: DataForecast) -> list[str]:
    lines = [f"Data: {', '.join(config.data.weights)} ({config.data.train_split})"]
    for part in data.parts:
        epoch = len(part.ids) // part.prompts
        lines.append(
            f"  {part.name + ': ' if part.name else ''}{len(part.ids):,} problems, {part.prompts} per step; "
            f"steps per epoch: {epoch}, epochs: {config.train.steps / epoch:.1f}"
        )
    if data.lengths.measured:
        lines.append(
            f"  prompt tokens: {data.lengths.mean:.0f} on average, {data.lengths.longest} at most "
            f"({data.lengths.measured} measured); limit {config.data.max_prompt_tokens}"
        )
    return lines + [f"  {note}" for note in data.notes]


def _step_lines(config: Config, steps: Sequence[StepTokens]) -> list[str]:
    tokens, rollout, explore = steps[0], config.rollout, config.exploration
    lines = [
        "One step, with every response at the length limit:",
        f"  rollout      {rollout.prompts:,} prompts x {rollout.n} = {tokens.sampled:,} responses, "
        f"{tokens.decoded:,} tokens",
    ]
    if tokens.explored:
        lines.append(
            f"  exploration  {explore.n} more if all {rollout.n} fail, at t' = {explore.temperature:g}: "
            f"0 to {tokens.explored:,} responses"
        )
    condition = "once as many are retained" if config.pending.enabled else "every step"
    passes = ", ".join(f"{ranks}: {of.passes}" for ranks, of in zip(RANKS, steps, strict=True))
    lines += [
        f"  update       {tokens.sampled:,} trajectories, {condition}; optimizer steps: "
        f"{tokens.optimizer_steps}, with {tokens.sampled // tokens.optimizer_steps:,} trajectories each",
        f"               {tokens.grouped_positions:,} positions with one prompt per group; "
        f"{tokens.ungrouped_positions:,} with one per response",
        f"               micro-batches per rank, by number of ranks: {passes}",
    ]
    if tokens.replayed:
        every = config.stabilizer.frequency
        lines.append(f"  replay       every {every} steps, up to {tokens.replayed:,} trajectories")
    return lines


def _no_memory_lines(config: Config) -> list[str]:
    return [f"Memory: {config.model.path} is not on this machine, and the forecast does not use the network."]


def _memory_lines(
    config: Config, shape: ModelShape, prompt: PromptLengths, steps: Sequence[StepTokens]
) -> list[str]:
    zero = read_deepspeed_config(config.deepspeed.config, config.model.precision, config.optim)
    memory = [
        rank_memory(config, zero["zero_optimization"], shape, prompt, tokens, ranks)
        for ranks, tokens in zip(RANKS, steps, strict=True)
    ]
    large = memory[0].peak >= _GIB
    unit, name = (_GIB, "GiB") if large else (_MIB, "MiB")
    lines = [
        f"Memory per rank in {name}, estimated by counting bytes ({shape.weights:,} weights, "
        f"{shape.tower_weights:,} in the vision tower; {trained_weights(config, shape):,} are trained):",
        f"  {'ranks':<26}" + "".join(f"{ranks:>8}" for ranks in RANKS),
    ]
    for row, of in _MEMORY_ROWS:
        values = [of(rank) / unit for rank in memory]
        if any(values):
            lines.append(f"  {row:<26}" + "".join(f"{value:8.1f}" for value in values))
    disk = checkpoint_bytes(config, shape) / unit
    return [
        *lines,
        *_cache_note(config, shape, prompt, memory[0]),
        *_slots_lines(config, zero["zero_optimization"], shape, prompt, steps[0], memory[0]),
        f"  On disk: {disk:.1f} {name} per checkpoint; {_kept_checkpoints(config)} kept, one being written.",
    ]


def _kept_checkpoints(config: Config) -> int:
    """The newest, and with validation the best."""
    return config.train.keep + (config.train.keep_best if config.train.eval_every else 0)


def _cache_note(config: Config, shape: ModelShape, prompt: PromptLengths, memory: RankMemory) -> list[str]:
    if config.rollout.engine == "vllm":
        return ["  Keys and values are in vLLM's process and are not included."]
    if memory.cache:
        return []
    rollout = config.rollout
    pool = fitting_size(10**15, RolloutShape(config.unit, rollout.n, prompt.longest, rollout.max_tokens))
    limit = pool.positions * cache_bytes(config, shape) / _GIB
    return [
        f"  Keys and values use {CACHE_SHARE:.0%} of the memory that remains in a rollout, at most "
        f"{limit:.1f} GiB ({pool.slots} responses at a time)."
    ]


def _slots_lines(
    config: Config,
    zero: Mapping[str, Any],
    shape: ModelShape,
    prompt: PromptLengths,
    tokens: StepTokens,
    memory: RankMemory,
) -> list[str]:
    """For a pool whose size depends on the GPU's memory."""
    if config.rollout.engine == "vllm" or memory.cache:
        return []
    return slots_lines(config, zero, shape, prompt, tokens)
