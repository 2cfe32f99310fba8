"""Micro-batches that do not fit into memory: smaller ones are run, now or by the run that goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vlm_uec.distributed import rank, world_size
from vlm_uec.errors import RunFailed, out_of_memory
from vlm_uec.policy.plan import plan_minibatch
from vlm_uec.types import Trajectory


@dataclass
class PassBudget:
    """Positions of a micro-batch, at most; half as many each time that one did not fit."""

    positions: int
    tell: Callable[[int, str], None]  # the new number and why, to who must know of it at the next start

    def halve(
        self, trajectories: Sequence[Trajectory], prompt_tokens: Mapping[str, int], error: Exception
    ) -> None:
        """After `error`, out of memory, in a pass over these trajectories.

        Raises `RunFailed` where there are other ranks: they wait inside the pass for this one's share of the
        weights, and only a new start reaches them. Also where a micro-batch is one response already.
        """
        smaller = max(1, self.positions // 2)
        before, after = (plan_minibatch(trajectories, prompt_tokens, 1, b) for b in (self.positions, smaller))
        where = out_of_memory(rank(), error)
        if before == after:
            longest = max(row.length for micro in before[0] for row in micro.rows)
            raise RunFailed(
                f"{where} on a micro-batch of one response ({longest} positions), which cannot be split: "
                "lower data.max_pixels or rollout.max_tokens, or take configs/zero3_offload.json"
            )
        self.positions = smaller
        self.tell(smaller, where)
        if world_size() > 1:
            raise RunFailed(f"{where}: resume=auto goes on with micro-batches of {smaller} positions")
