"""Failing passes of a real ZeRO-3 policy: non-finite numbers, and out of memory.

`tests/support/fixed_trajectories.py` calls these functions on all ranks; the pass of the last rank fails.
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
Fault = AbstractContextManager[Any]


def nonfinite_updates(policy: ZeroPolicy, learner: Learner, batch: Sequence[Trajectory]) -> Report:
    """Reports of updates with a non-finite loss or gradient in one pass of one rank."""
    reference = learner.reference_logprobs(batch)
    plans = plan_minibatch(batch, learner.prompts.tokens, world_size(), learner.budget.positions)
    return {
        "failed_pass": sorted({row.problem_id for row in plans[-1][0].rows}),
        "all": sorted({trajectory.response.problem_id for trajectory in batch}),
        "nan_loss": _update(policy, learner, batch, reference, _forward(policy, _times_nan)),
        "nan_gradient": _update(policy, learner, batch, reference, _forward(policy, _nan_gradient)),
        "next_update": _update(policy, learner, batch, reference, nullcontext()),
    }


def out_of_memory_updates(
    policy: ZeroPolicy, learner: Learner, batch: Sequence[Trajectory], directory: Path
) -> Report:
    """Reports of updates from the same weights that run out of memory in three places; one rank only.

    The reference's log-probs are the same for all: those of passes of another size would round differently.
    """
    reference = learner.reference_logprobs(batch)
    policy.save(directory / "before")
    full = learner.budget.positions
    faults: dict[str, Fault] = {
        "half_budget": nullcontext(),
        "before_the_pass": _forward(policy, None),
        "in_forward": _in_layer(policy, backward=False),
        "in_backward": _in_layer(policy, backward=True),
    }
    reports = {}
    for name, fault in faults.items():
        halvings: list[tuple[int, str]] = []
        start = full // 2 if name == "half_budget" else full
        learner.budget = PassBudget(start, lambda *halved, halvings=halvings: halvings.append(halved))
        policy.load(directory / "before", world_size(), directory / "scratch")
        reports[name] = {**_update(policy, learner, batch, reference, fault), "halvings": halvings}
    return reports


def _update(
    policy: ZeroPolicy,
    learner: Learner,
    batch: Sequence[Trajectory],
    reference: Sequence[torch.Tensor | None],
    fault: Fault,
) -> Report:
    before = gather_objects(_digest(policy))
    with fault:
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


def _forward(policy: ZeroPolicy, corrupt: Callable[[torch.Tensor], torch.Tensor] | None) -> Fault:
    """The last rank's first pass returns log-probs changed by `corrupt`; None: it runs out of memory."""
    original, calls = policy.forward, iter(range(1000))

    def forward(packed: Any) -> tuple[torch.Tensor, torch.Tensor]:
        failing = next(calls) == 0 and rank() == world_size() - 1
        if failing and corrupt is None:
            raise _out_of_memory()
        logprobs, entropy = original(packed)
        return (corrupt(logprobs) if failing and corrupt else logprobs), entropy

    return patch.object(policy, "forward", forward)


def _times_nan(logprobs: torch.Tensor) -> torch.Tensor:
    return logprobs * math.nan


def _nan_gradient(logprobs: torch.Tensor) -> torch.Tensor:
    logprobs.register_hook(lambda gradient: gradient * math.nan)
    return logprobs


@contextmanager
def _in_layer(policy: ZeroPolicy, *, backward: bool) -> Iterator[None]:
    """Runs out of memory once, between text layers, with some weights gathered."""
    calls = iter(range(1000))

    def hook(module: Any, inputs: Any, output: Any) -> None:
        if next(calls) == 0:
            if not backward:
                raise _out_of_memory()
            (output[0] if isinstance(output, tuple) else output).register_hook(_raise)

    handle = policy.policy.model.model.language_model.layers[1].register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _raise(gradient: torch.Tensor) -> None:
    raise _out_of_memory()


def _out_of_memory() -> torch.OutOfMemoryError:
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
