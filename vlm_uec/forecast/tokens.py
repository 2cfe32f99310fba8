"""Token counts of a step: sampled and scored tokens, and the number of forward passes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from vlm_uec.config import Config
from vlm_uec.types import Response, Reward, Trajectory
from vlm_uec.update.microbatches import plan_minibatch

MAX_PLANNED_TRAJECTORIES = 20_000  # a larger mini-batch is planned in part and extrapolated


@dataclass(frozen=True)
class PromptLengths:
    """Tokens of the measured prompts, or the limit if none can be measured."""

    mean: float
    longest: int
    measured: int = 0


@dataclass(frozen=True)
class StepTokens:
    """Counts of a step with every response at the length limit; in trajectories unless noted."""

    sampled: int
    explored: int  # if every prompt failed
    optimizer_steps: int  # for |B| x G trajectories
    decoded: int  # tokens, without exploration
    grouped_positions: int  # positions read to train on |B| x G trajectories, each prompt once
    ungrouped_positions: int  # the same with the prompt before every response
    passes: int  # micro-batches per rank for them
    pass_positions: int  # of the largest micro-batch
    pass_prompts: int  # most prompts in a micro-batch
    replayed: int  # a full buffer; 0 without one


def step_tokens(config: Config, prompt: PromptLengths, ranks: int) -> StepTokens:
    """Counts for `ranks` ranks; the passes come from the trainer's own planner."""
    rollout, steps = config.rollout, config.rollout.prompts // config.optim.minibatch
    prompts = max(1, min(config.optim.minibatch, MAX_PLANNED_TRAJECTORIES // rollout.n))
    plan = plan_minibatch(
        _full_groups(config, prompts),
        {str(number): round(prompt.mean) for number in range(prompts)},
        ranks,
        config.optim.microbatch_tokens,
    )
    rows = [micro.rows for rank in plan for micro in rank if not micro.filler]
    stabilizer = config.stabilizer
    return StepTokens(
        sampled=config.unit,
        explored=rollout.prompts * config.exploration.n if config.exploration.enabled else 0,
        optimizer_steps=steps,
        decoded=config.unit * rollout.max_tokens,
        grouped_positions=round(rollout.prompts * prompt.mean) + config.unit * (rollout.max_tokens - 1),
        ungrouped_positions=round(config.unit * (prompt.mean + rollout.max_tokens - 1)),
        passes=steps * math.ceil(len(plan[0]) * config.optim.minibatch / prompts),
        pass_positions=max(sum(row.length for row in pass_rows) for pass_rows in rows),
        pass_prompts=max(len({row.problem_id for row in pass_rows}) for pass_rows in rows),
        replayed=round(stabilizer.capacity * config.unit) if stabilizer.enabled else 0,
    )


def _full_groups(config: Config, prompts: int) -> list[Trajectory]:
    """Placeholder trajectories at the length limit: the plan uses only their lengths."""
    placeholder = torch.zeros(config.rollout.max_tokens)
    reward = Reward(0.0, 0.0, 0.0, "")
    return [
        Trajectory(
            Response(
                problem_id=str(number),
                index=index,
                source="regular",
                tokens=placeholder,
                behaviour_logprobs=placeholder,
                policy_logprobs=placeholder,
                entropy=placeholder,
                kept_mass=placeholder,
                truncated=True,
            ),
            reward,
            advantage=1.0,
            step=0,
        )
        for number in range(prompts)
        for index in range(config.rollout.n)
    ]
