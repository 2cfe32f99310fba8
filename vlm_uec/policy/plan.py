"""Which rank scores which responses in which micro-batch: the same answer on every rank.

ZeRO-3 makes every rank join every gather, so ranks must run equally many forward passes. Each rank
computes this whole plan from the (replicated) batch, and runs its own share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vlm_uec.types import Trajectory


@dataclass(frozen=True)
class RowPlan:
    """One prompt and the places, in the mini-batch, of its responses in this row."""

    problem_id: str
    members: tuple[int, ...]
    length: int


@dataclass(frozen=True)
class MicroBatch:
    """Rows of one forward pass. A filler only keeps this rank in step: its tokens weigh nothing."""

    rows: tuple[RowPlan, ...]
    filler: bool = False

    @property
    def members(self) -> list[int]:
        return [member for row in self.rows for member in row.members]


def plan_minibatch(
    trajectories: Sequence[Trajectory], prompt_tokens: Mapping[str, int], ranks: int, budget: int
) -> list[list[MicroBatch]]:
    """Micro-batches of each rank, equally many, at most `budget` positions each.

    A row that alone exceeds the budget has a micro-batch of its own. Rows go to ranks longest first,
    each to the least loaded (Graham's LPT rule), so that no rank waits long for another.
    """
    rows = plan_rows(trajectories, prompt_tokens, budget)
    shares = [_micro_batches(share, budget) for share in _share_out(rows, ranks)]
    most = max(len(share) for share in shares)
    shortest = min(rows, key=lambda row: row.length)
    filler = MicroBatch((replace(shortest, members=shortest.members[:1]),), filler=True)
    return [share + [filler] * (most - len(share)) for share in shares]


def plan_rows(
    trajectories: Sequence[Trajectory], prompt_tokens: Mapping[str, int], budget: int
) -> list[RowPlan]:
    """Rows in order of first appearance: a prompt's responses together, as many as the budget takes."""
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


def _share_out(rows: Sequence[RowPlan], ranks: int) -> list[list[RowPlan]]:
    """Each rank's rows, in the order given."""
    load = [0] * ranks
    owner: dict[int, int] = {}
    for place in sorted(range(len(rows)), key=lambda place: (-rows[place].length, place)):
        owner[place] = min(range(ranks), key=lambda rank: (load[rank], rank))
        load[owner[place]] += rows[place].length
    return [[rows[place] for place in range(len(rows)) if owner[place] == rank] for rank in range(ranks)]


def _micro_batches(rows: Sequence[RowPlan], budget: int) -> list[MicroBatch]:
    batches: list[list[RowPlan]] = []
    used = budget
    for row in rows:
        if used + row.length > budget:
            batches.append([])
            used = 0
        batches[-1].append(row)
        used += row.length
    return [MicroBatch(tuple(batch)) for batch in batches]
