from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_uec.policy.plan import MicroBatch, RowPlan, plan_minibatch, plan_rows
from vlm_uec.types import Response, Reward, Trajectory

NOTHING = torch.zeros(0)


def _trajectory(problem_id: str, index: int, length: int) -> Trajectory:
    tokens = torch.zeros(length, dtype=torch.int64)
    response = Response(problem_id, index, "regular", tokens, NOTHING, NOTHING, NOTHING, NOTHING, False)
    return Trajectory(response, Reward(0.0, 0.0, 0.0, ""), 0.0, step=0)


def _batch(*lengths: tuple[str, int]) -> list[Trajectory]:
    return [_trajectory(problem_id, index, length) for index, (problem_id, length) in enumerate(lengths)]


def test_a_prompts_responses_share_a_row_as_far_as_the_budget_goes() -> None:
    """a: 10 + (5 + 5) fills 20, the third response starts a new row of 15; b alone is over the budget."""
    rows = plan_rows(_batch(("a", 6), ("b", 3), ("a", 6), ("a", 6)), {"a": 10, "b": 30}, budget=20)
    assert rows == [RowPlan("a", (0, 2), 20), RowPlan("a", (3,), 15), RowPlan("b", (1,), 32)]


def test_rows_go_to_the_least_loaded_rank_and_share_passes_within_the_budget() -> None:
    """Longest first: a 40 to rank 0, b 30 to rank 1, c 20 to 1 (30 < 40), d 10 to 0; then the budget of
    50 holds each rank's rows in one pass."""
    batch = _batch(("a", 1), ("b", 1), ("c", 1), ("d", 1))
    plan = plan_minibatch(batch, {"a": 40, "b": 30, "c": 20, "d": 10}, ranks=2, budget=50)
    assert [[micro.members for micro in share] for share in plan] == [[[0, 3]], [[1, 2]]]
    assert not any(micro.filler for share in plan for micro in share)


def test_a_rank_with_less_to_do_runs_fillers_of_the_shortest_row() -> None:
    plan = plan_minibatch(_batch(("a", 4), ("a", 4), ("b", 2)), {"a": 9, "b": 5}, ranks=4, budget=20)
    assert [[micro.filler for micro in share] for share in plan] == [[False], [False], [True], [True]]
    assert plan[2][0].rows[0].problem_id == "b"
    assert plan[2] == plan[3]


batches = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 40)), min_size=1, max_size=60)
prompts = st.fixed_dictionaries({name: st.integers(1, 60) for name in "abcdef"})


def _length(micro: MicroBatch, batch: list[Trajectory], prompt_tokens: dict[str, int]) -> int:
    read = sum(len(batch[member].response.tokens) - 1 for member in micro.members)
    return read + sum(prompt_tokens[row.problem_id] for row in micro.rows)


@settings(max_examples=300, deadline=None)
@given(batches, prompts, st.integers(1, 6), st.integers(1, 200))
def test_every_plan(
    lengths: list[tuple[str, int]], prompt_tokens: dict[str, int], ranks: int, budget: int
) -> None:
    batch = _batch(*lengths)
    plan = plan_minibatch(batch, prompt_tokens, ranks, budget)
    assert len(plan) == ranks
    assert len({len(share) for share in plan}) == 1, "ranks run equally many passes"
    real = [micro for share in plan for micro in share if not micro.filler]
    members = [member for micro in real for member in micro.members]
    assert sorted(members) == list(range(len(batch))), "every trajectory is scored exactly once"
    for micro in (micro for share in plan for micro in share):
        assert micro.members, "no pass is empty"
        for row in micro.rows:
            assert {batch[member].response.problem_id for member in row.members} == {row.problem_id}
        lone = len(micro.rows) == len(micro.members) == 1
        assert _length(micro, batch, prompt_tokens) <= budget or lone
        if not micro.filler:
            assert _length(micro, batch, prompt_tokens) == sum(row.length for row in micro.rows)
    assert plan == plan_minibatch(_batch(*lengths), dict(prompt_tokens), ranks, budget)


@settings(max_examples=100, deadline=None)
@given(batches, prompts, st.integers(2, 6), st.integers(1, 200))
def test_no_rank_carries_more_than_a_fair_share_and_one_row(
    lengths: list[tuple[str, int]], prompt_tokens: dict[str, int], ranks: int, budget: int
) -> None:
    """Graham's bound: what made the fullest rank the fullest was given to the then emptiest."""
    plan = plan_minibatch(_batch(*lengths), prompt_tokens, ranks, budget)
    loads = [sum(row.length for micro in share if not micro.filler for row in micro.rows) for share in plan]
    longest = max(row.length for share in plan for micro in share for row in micro.rows)
    assert max(loads) <= sum(loads) / ranks + longest
