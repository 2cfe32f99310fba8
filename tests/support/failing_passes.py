"""Passes that go wrong in a real ZeRO-3 policy: numbers that are not finite, and too little memory.

Called by `tests/support/fixed_trajectories.py` on all of its ranks; the last rank is the one that is hurt.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from vlm_uec.ranks.collectives import gather_objects, rank, world_size
from vlm_uec.types import Trajectory
from vlm_uec.update.learner import Learner
from vlm_uec.update.microbatches import PassBudget, plan_minibatch
from vlm_uec.zero.engine import ZeroPolicy

Report = dict[str, Any]
Injury = AbstractContextManager[Any]


def bad_numbers(policy: ZeroPolicy, learner: Learner, batch: Sequence[Trajectory]) -> Report:
    """What updates did whose loss, or only whose gradient, was not finite in one pass of one rank."""
    plans = plan_minibatch(batch, learner.prompts.tokens, world_size(), learner.budget.positions)
    return {
        "hurt": sorted({row.problem_id for row in plans[-1][0].rows}),
        "all": sorted({trajectory.response.problem_id for trajectory in batch}),
        "nan_loss": _update(policy, learner, batch, _forward(policy, _times_nan)),
        "nan_gradient": _update(policy, learner, batch, _forward(policy, _nan_gradient)),
        "sound": _update(policy, learner, batch, nullcontext()),
    }


def too_little_memory(
    policy: ZeroPolicy, learner: Learner, batch: Sequence[Trajectory], directory: Path
) -> Report:
    """What updates from the same weights did that ran out of memory at three places; of one rank only."""
    policy.save(directory / "before")
    whole = learner.budget.positions
    injuries: dict[str, Injury] = {
        "half_budget": nullcontext(),
        "before_the_pass": _forward(policy, None),
        "in_forward": _in_layer(policy, backward=False),
        "in_backward": _in_layer(policy, backward=True),
    }
    reports = {}
    for name, injury in injuries.items():
        told: list[tuple[int, str]] = []
        start = whole // 2 if name == "half_budget" else whole
        learner.budget = PassBudget(start, lambda *halved, told=told: told.append(halved))
        policy.load(directory / "before", world_size(), directory / "scratch")
        reports[name] = {**_update(policy, learner, batch, injury), "told": told}
    return reports


def _update(policy: ZeroPolicy, learner: Learner, batch: Sequence[Trajectory], injury: Injury) -> Report:
    before = gather_objects(_digest(policy))
    reference = learner.reference_logprobs(batch)
    with injury:
        scored, (stats,) = learner.update(batch, [None] * len(batch), reference)
    after = gather_objects(_digest(policy))
    return {
        "before": before,
        "after": after,
        "scored": len(scored),
        "skipped": stats.skipped,
        "suspects": list(stats.suspects),
        "policy_loss": stats.policy_loss if math.isfinite(stats.policy_loss) else None,
    }


def _forward(policy: ZeroPolicy, hurt: Callable[[torch.Tensor], torch.Tensor] | None) -> Injury:
    """The hurt rank's first pass gives log-probs that `hurt` changed; None: it is out of memory."""
    whole, calls = policy.forward, iter(range(1000))

    def forward(packed: Any) -> tuple[torch.Tensor, torch.Tensor]:
        hurting = next(calls) == 0 and rank() == world_size() - 1
        if hurting and hurt is None:
            raise _error()
        logprobs, entropy = whole(packed)
        return (hurt(logprobs) if hurting and hurt else logprobs), entropy

    return patch.object(policy, "forward", forward)


def _times_nan(logprobs: torch.Tensor) -> torch.Tensor:
    return logprobs * math.nan


def _nan_gradient(logprobs: torch.Tensor) -> torch.Tensor:
    logprobs.register_hook(lambda gradient: gradient * math.nan)
    return logprobs


@contextmanager
def _in_layer(policy: ZeroPolicy, *, backward: bool) -> Iterator[None]:
    """Out of memory once, in the middle of the text layers, with some weights gathered."""
    calls = iter(range(1000))

    def hook(module: Any, inputs: Any, output: Any) -> None:
        if next(calls) == 0:
            if not backward:
                raise _error()
            (output[0] if isinstance(output, tuple) else output).register_hook(_raise)

    handle = policy.policy.model.model.language_model.layers[1].register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _raise(gradient: torch.Tensor) -> None:
    raise _error()


def _error() -> torch.OutOfMemoryError:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more.")


def _digest(policy: ZeroPolicy) -> str:
    """Hash of this rank's weights and moments."""
    optimizer: Any = policy._engine.optimizer
    digest = hashlib.sha256()
    for flat in optimizer.fp32_partitioned_groups_flat:
        digest.update(flat.detach().numpy().tobytes())
    for state in optimizer.optimizer.state.values():
        for _, value in sorted(state.items()):
            digest.update(value.detach().numpy().tobytes())
    return digest.hexdigest()
