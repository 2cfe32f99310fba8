"""Token counts of a step: sampled and scored tokens, and the number of forward passes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from vlm_uec.config import Config
from vlm_uec.types import Response, Reward, Trajectory
from vlm_uec.update.microbatches import plan_minibatch

MOST_PLANNED = 20_000  # trajectories; of a larger mini-batch a part is planned


@dataclass(frozen=True)
class PromptLengths:
    """Tokens of the prompts: of those that were measured, or the limit where there is nothing to measure."""

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
    grouped: int  # positions read to train on |B| x G trajectories, each prompt once
    separate: int  # the same with the prompt in front of every response
    passes: int  # micro-batches that a rank runs for them
    pass_positions: int  # of the fullest micro-batch
    pass_prompts: int  # most prompts in a micro-batch
    replayed: int  # a full buffer; 0 without one


def step_tokens(config: Config, prompt: PromptLengths, ranks: int) -> StepTokens:
    """Counts for so many ranks; the passes are those of the trainer's own plan."""
    rollout, steps = config.rollout, config.rollout.prompts // config.optim.minibatch
    prompts = max(1, min(config.optim.minibatch, MOST_PLANNED // rollout.n))
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
        grouped=round(rollout.prompts * prompt.mean) + config.unit * (rollout.max_tokens - 1),
        separate=round(config.unit * (prompt.mean + rollout.max_tokens - 1)),
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
