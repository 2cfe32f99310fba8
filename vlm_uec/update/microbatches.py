"""Micro-batches: the plan of the ranks' forward passes, and their token budget.

Under ZeRO-3 every rank joins every gather, so ranks must run the same number of forward passes. Each rank
computes the plan of all ranks from the (replicated) batch and runs its own part. After an out-of-memory error
the budget is halved.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vlm_uec.errors import RunFailed, describe_out_of_memory
from vlm_uec.ranks.collectives import rank, world_size
from vlm_uec.types import Trajectory


@dataclass(frozen=True)
class RowPlan:
    """One prompt and the mini-batch indices of its responses in this row."""

    problem_id: str
    members: tuple[int, ...]
    length: int


@dataclass(frozen=True)
class MicroBatch:
    """Rows of one forward pass. A filler has weight 0: it only equalises the ranks' numbers of passes."""

    rows: tuple[RowPlan, ...]
    filler: bool = False

    @property
    def members(self) -> list[int]:
        return [member for row in self.rows for member in row.members]


def plan_minibatch(
    trajectories: Sequence[Trajectory], prompt_tokens: Mapping[str, int], ranks: int, budget: int
) -> list[list[MicroBatch]]:
    """Micro-batches of each rank, the same number for all, with at most `budget` positions each.

    Plans as few passes as the budget allows, with loads as equal as whole rows allow. Passes that run at the
    same time have similar lengths, because under ZeRO-3 ranks wait for each other in every layer. A row that
    exceeds the budget is a separate micro-batch. Raises ValueError for no trajectories.
    """
    rows = plan_rows(trajectories, prompt_tokens, budget)
    bins = _pack_bins(rows, ranks, budget)
    batches = [MicroBatch(tuple(rows[index] for index in sorted(indices))) for indices in bins if indices]
    filler = make_filler(trajectories, prompt_tokens)
    batches += [filler] * (len(bins) - len(batches))
    return [batches[rank::ranks] for rank in range(ranks)]


def make_filler(trajectories: Sequence[Trajectory], prompt_tokens: Mapping[str, int]) -> MicroBatch:
    """The cheapest pass over one of the trajectories, for a rank without a micro-batch."""
    rows = [
        RowPlan(name, (index,), prompt_tokens[name] + len(trajectory.response.tokens) - 1)
        for index, trajectory in enumerate(trajectories)
        for name in [trajectory.response.problem_id]
    ]
    return MicroBatch((min(rows, key=lambda row: row.length),), filler=True)


def plan_rows(
    trajectories: Sequence[Trajectory], prompt_tokens: Mapping[str, int], budget: int
) -> list[RowPlan]:
    """Rows in order of first appearance, each with as many of a prompt's responses as fit into the budget."""
    by_problem: dict[str, list[int]] = {}
    for index, trajectory in enumerate(trajectories):
        by_problem.setdefault(trajectory.response.problem_id, []).append(index)
    rows: list[RowPlan] = []
    for problem_id, indices in by_problem.items():
        rows += _split_rows(problem_id, indices, trajectories, prompt_tokens[problem_id], budget)
    return rows


def _split_rows(
    problem_id: str, indices: Sequence[int], trajectories: Sequence[Trajectory], prompt: int, budget: int
) -> list[RowPlan]:
    rows: list[RowPlan] = []
    members: list[int] = []
    length = prompt
    for index in indices:
        extra = len(trajectories[index].response.tokens) - 1
        if members and length + extra > budget:
            rows.append(RowPlan(problem_id, tuple(members), length))
            members, length = [], prompt
        members.append(index)
        length += extra
    return [*rows, RowPlan(problem_id, tuple(members), length)]


def _pack_bins(rows: Sequence[RowPlan], ranks: int, budget: int) -> list[list[int]]:
    """Row indices by micro-batch: the fewest bins, a multiple of `ranks`, for which `_distribute` meets the
    budget; fullest first, empty ones last."""
    # A row over the budget needs one pass, of any length.
    total = sum(min(row.length, budget) for row in rows)
    passes = max(1, -(-total // (ranks * budget)))
    while True:
        bins = _distribute(rows, passes * ranks)
        loads = [sum(rows[index].length for index in indices) for indices in bins]
        if all(len(indices) <= 1 or load <= budget for indices, load in zip(bins, loads, strict=True)):
            order = sorted(range(len(bins)), key=lambda number: -loads[number])
            return [bins[number] for number in order]
        passes += 1


def _distribute(rows: Sequence[RowPlan], count: int) -> list[list[int]]:
    """Assigns rows, longest first, to the least loaded bin (Graham's LPT rule)."""
    bins: list[list[int]] = [[] for _ in range(count)]
    heap = [(0, number) for number in range(count)]
    for index in sorted(range(len(rows)), key=lambda index: (-rows[index].length, index)):
        load, number = heapq.heappop(heap)
        bins[number].append(index)
        heapq.heappush(heap, (load + rows[index].length, number))
    return bins


@dataclass
class PassBudget:
    """Maximum positions of a micro-batch; halved after each out-of-memory error."""

    positions: int
    on_halved: Callable[[int, str], None]  # called with the new budget and the reason

    def halve(
        self, trajectories: Sequence[Trajectory], prompt_tokens: Mapping[str, int], error: Exception
    ) -> None:
        """Halves the budget after the out-of-memory `error` in a pass over these trajectories.

        Raises `RunFailed` if there are other ranks: they wait inside the pass for this rank's part of the
        weights, so all ranks must restart. Also raised if a micro-batch is a single response already.
        """
        smaller = max(1, self.positions // 2)
        before, after = (plan_minibatch(trajectories, prompt_tokens, 1, b) for b in (self.positions, smaller))
        reason = describe_out_of_memory(rank(), error)
        if before == after:
            longest = max(row.length for micro in before[0] for row in micro.rows)
            raise RunFailed(
                f"{reason} on a micro-batch of one response ({longest} positions), which cannot be split: "
                "lower data.max_pixels or rollout.max_tokens, or use configs/zero3_offload.json"
            )
        self.positions = smaller
        self.on_halved(smaller, reason)
        if world_size() > 1:
            raise RunFailed(f"{reason}: resume=auto continues with micro-batches of {smaller} positions")
