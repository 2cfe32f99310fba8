"""Micro-batches: the plan of the ranks' forward passes, and their token budget.

Under ZeRO-3 every rank joins every gather, so ranks must run equally many forward passes. Each rank computes
the whole plan from the (replicated) batch, and runs its own share. After an out-of-memory error the budget is
halved.
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
    """One prompt and the places, in the mini-batch, of its responses in this row."""

    problem_id: str
    members: tuple[int, ...]
    length: int


@dataclass(frozen=True)
class MicroBatch:
    """Rows of one forward pass. A filler only keeps the ranks in step: its tokens have weight 0."""

    rows: tuple[RowPlan, ...]
    filler: bool = False

    @property
    def members(self) -> list[int]:
        return [member for row in self.rows for member in row.members]


def plan_minibatch(
    trajectories: Sequence[Trajectory], prompt_tokens: Mapping[str, int], ranks: int, budget: int
) -> list[list[MicroBatch]]:
    """Micro-batches of each rank, equally many, at most `budget` positions each.

    As few passes as the budget allows, as even as whole rows allow, and those that run side by side of nearly
    one length: under ZeRO-3 ranks wait for each other in every layer. A row that alone exceeds the budget
    has a micro-batch of its own. Raises ValueError for no trajectories.
    """
    rows = plan_rows(trajectories, prompt_tokens, budget)
    bins = _bins(rows, ranks, budget)
    batches = [MicroBatch(tuple(rows[place] for place in sorted(places))) for places in bins if places]
    filler = filler_of(trajectories, prompt_tokens)
    batches += [filler] * (len(bins) - len(batches))
    return [batches[rank::ranks] for rank in range(ranks)]


def filler_of(trajectories: Sequence[Trajectory], prompt_tokens: Mapping[str, int]) -> MicroBatch:
    """The cheapest pass over one of the trajectories, for a rank without work of its own."""
    rows = [
        RowPlan(name, (place,), prompt_tokens[name] + len(trajectory.response.tokens) - 1)
        for place, trajectory in enumerate(trajectories)
        for name in [trajectory.response.problem_id]
    ]
    return MicroBatch((min(rows, key=lambda row: row.length),), filler=True)


def plan_rows(
    trajectories: Sequence[Trajectory], prompt_tokens: Mapping[str, int], budget: int
) -> list[RowPlan]:
    """Rows in order of first appearance: a prompt's responses together, as many as fit into the budget."""
    by_problem: dict[str, list[int]] = {}
    for place, trajectory in enumerate(trajectories):
        by_problem.setdefault(trajectory.response.problem_id, []).append(place)
    rows: list[RowPlan] = []
    for problem_id, places in by_problem.items():
        rows += _split(problem_id, places, trajectories, prompt_tokens[problem_id], budget)
    return rows


def _split(
    problem_id: str, places: Sequence[int], trajectories: Sequence[Trajectory], prompt: int, budget: int
) -> list[RowPlan]:
    rows: list[RowPlan] = []
    members: list[int] = []
    length = prompt
    for place in places:
        extra = len(trajectories[place].response.tokens) - 1
        if members and length + extra > budget:
            rows.append(RowPlan(problem_id, tuple(members), length))
            members, length = [], prompt
        members.append(place)
        length += extra
    return [*rows, RowPlan(problem_id, tuple(members), length)]


def _bins(rows: Sequence[RowPlan], ranks: int, budget: int) -> list[list[int]]:
    """Places of rows by micro-batch: the fewest bins, a multiple of `ranks`, into which `_spread`
    fits them; fullest first, empty ones last."""
    # A row over the budget costs one pass, whatever its length.
    total = sum(min(row.length, budget) for row in rows)
    passes = max(1, -(-total // (ranks * budget)))
    while True:
        bins = _spread(rows, passes * ranks)
        loads = [sum(rows[place].length for place in places) for places in bins]
        if all(len(places) <= 1 or load <= budget for places, load in zip(bins, loads, strict=True)):
            order = sorted(range(len(bins)), key=lambda place: -loads[place])
            return [bins[place] for place in order]
        passes += 1


def _spread(rows: Sequence[RowPlan], count: int) -> list[list[int]]:
    """Longest row first, each to the least loaded bin (Graham's LPT rule)."""
    bins: list[list[int]] = [[] for _ in range(count)]
    heap = [(0, index) for index in range(count)]
    for place in sorted(range(len(rows)), key=lambda place: (-rows[place].length, place)):
        load, index = heapq.heappop(heap)
        bins[index].append(place)
        heapq.heappush(heap, (load + rows[place].length, index))
    return bins


@dataclass
class PassBudget:
    """Maximum positions of a micro-batch; halved after each out-of-memory error."""

    positions: int
    on_halved: Callable[[int, str], None]  # called with the new number and the reason

    def halve(
        self, trajectories: Sequence[Trajectory], prompt_tokens: Mapping[str, int], error: Exception
    ) -> None:
        """After `error`, out of memory, in a pass over these trajectories.

        Raises `RunFailed` where there are other ranks: they wait inside the pass for this one's share of the
        weights, and only a new start reaches them. Also where a micro-batch is one response already.
        """
        smaller = max(1, self.positions // 2)
        before, after = (plan_minibatch(trajectories, prompt_tokens, 1, b) for b in (self.positions, smaller))
        where = describe_out_of_memory(rank(), error)
        if before == after:
            longest = max(row.length for micro in before[0] for row in micro.rows)
            raise RunFailed(
                f"{where} on a micro-batch of one response ({longest} positions), which cannot be split: "
                "lower data.max_pixels or rollout.max_tokens, or take configs/zero3_offload.json"
            )
        self.positions = smaller
        self.on_halved(smaller, where)
        if world_size() > 1:
            raise RunFailed(f"{where}: resume=auto goes on with micro-batches of {smaller} positions")
