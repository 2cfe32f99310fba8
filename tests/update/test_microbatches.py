"""Plans of micro-batches, and the smaller budget after an out-of-memory error."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fakes import make_trajectory
from vlm_uec.errors import RunFailed, UserError
from vlm_uec.run.budget import load_budget, save_budget
from vlm_uec.types import Response, Reward, Trajectory
from vlm_uec.update import microbatches
from vlm_uec.update.microbatches import (
    MicroBatch,
    PassBudget,
    RowPlan,
    make_filler,
    plan_minibatch,
    plan_rows,
)

NOTHING = torch.zeros(0)


def _trajectory(problem_id: str, index: int, length: int) -> Trajectory:
    tokens = torch.zeros(length, dtype=torch.int64)
    response = Response(problem_id, index, "regular", tokens, NOTHING, NOTHING, NOTHING, NOTHING, False)
    return Trajectory(response, Reward(0.0, 0.0, 0.0, ""), 0.0, step=0)


def _batch(*lengths: tuple[str, int]) -> list[Trajectory]:
    return [_trajectory(problem_id, index, length) for index, (problem_id, length) in enumerate(lengths)]


def test_a_prompts_responses_share_a_row_within_the_budget() -> None:
    """a: 10 + (5 + 5) fills 20, the third response starts a new row of 15; b alone is over the budget."""
    rows = plan_rows(_batch(("a", 6), ("b", 3), ("a", 6), ("a", 6)), {"a": 10, "b": 30}, budget=20)
    assert rows == [RowPlan("a", (0, 2), 20), RowPlan("a", (3,), 15), RowPlan("b", (1,), 32)]


def test_rows_go_to_the_least_loaded_pass() -> None:
    """100 positions, 2 ranks, budget 50: one pass each. Longest first: a (40) to the first, b (30) to the
    second, c (20) to the second (30 < 40), d (10) to the first (40 < 50)."""
    batch = _batch(("a", 1), ("b", 1), ("c", 1), ("d", 1))
    plan = plan_minibatch(batch, {"a": 40, "b": 30, "c": 20, "d": 10}, ranks=2, budget=50)
    assert [[micro.members for micro in share] for share in plan] == [[[0, 3]], [[1, 2]]]
    assert not any(micro.filler for share in plan for micro in share)


def test_concurrent_passes_have_similar_lengths() -> None:
    """180 positions, 2 ranks, budget 60: two passes each; the 50s run together, then the 40s.

    Longest first: 50, 40, 30, 20 to one pass each; the other 20 and the 10s to the emptiest: 20 + 20, 30 + 10
    and 40 + 10 (of the two 40s, the one that was filled first).
    """
    prompt_tokens = {"a": 50, "b": 40, "c": 30, "d": 20, "e": 20, "f": 10, "g": 10}
    batch = _batch(*((name, 1) for name in prompt_tokens))
    plan = plan_minibatch(batch, prompt_tokens, ranks=2, budget=60)
    lengths = [[sum(row.length for row in micro.rows) for micro in share] for share in plan]
    assert lengths == [[50, 40], [50, 40]]
    assert sorted(sorted(micro.members) for share in plan for micro in share) == [[0], [1, 6], [2, 5], [3, 4]]


def test_one_more_pass_if_whole_rows_do_not_fit() -> None:
    """Three rows of 30 have 90 positions, enough for two passes of 50; but no two fit together."""
    plan = plan_minibatch(_batch(("a", 1), ("b", 1), ("c", 1)), dict.fromkeys("abc", 30), ranks=1, budget=50)
    assert [micro.members for micro in plan[0]] == [[0], [1], [2]]


def test_a_row_over_the_budget_needs_one_pass() -> None:
    """Its 100 positions are ten times the budget, but it is one pass."""
    plan = plan_minibatch(_batch(("a", 1), ("b", 1)), {"a": 100, "b": 1}, ranks=1, budget=10)
    assert [(micro.members, micro.filler) for micro in plan[0]] == [([0], False), ([1], False)]


def test_a_rank_with_fewer_passes_runs_the_cheapest_filler() -> None:
    """a's rows have 9 + 3 per response; b's shorter response alone has 5 + 1, its row 40 more."""
    batch = _batch(("a", 4), ("a", 4), ("b", 41), ("b", 2))
    plan = plan_minibatch(batch, {"a": 9, "b": 5}, ranks=4, budget=60)
    assert [[micro.filler for micro in share] for share in plan] == [[False], [False], [True], [True]]
    assert plan[2] == plan[3] == [MicroBatch((RowPlan("b", (3,), 6),), filler=True)]
    assert plan[2] == [make_filler(batch, {"a": 9, "b": 5})]


def test_a_plan_needs_trajectories() -> None:
    with pytest.raises(ValueError):
        plan_minibatch([], {}, ranks=1, budget=10)


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
    assert len({len(share) for share in plan}) == 1, "all ranks run the same number of passes"
    with_work = [micro for share in plan for micro in share if not micro.filler]
    members = [member for micro in with_work for member in micro.members]
    assert sorted(members) == list(range(len(batch))), "every trajectory is scored exactly once"
    for micro in (micro for share in plan for micro in share):
        assert micro.members, "no pass is empty"
        for row in micro.rows:
            assert {batch[member].response.problem_id for member in row.members} == {row.problem_id}
        is_single = len(micro.rows) == len(micro.members) == 1
        assert _length(micro, batch, prompt_tokens) <= budget or is_single
        if not micro.filler:
            assert _length(micro, batch, prompt_tokens) == sum(row.length for row in micro.rows)
    assert plan == plan_minibatch(_batch(*lengths), dict(prompt_tokens), ranks, budget)


@settings(max_examples=100, deadline=None)
@given(batches, prompts, st.integers(1, 6), st.integers(1, 200))
def test_no_pass_is_a_filler_on_every_rank(
    lengths: list[tuple[str, int]], prompt_tokens: dict[str, int], ranks: int, budget: int
) -> None:
    for concurrent in zip(*plan_minibatch(_batch(*lengths), prompt_tokens, ranks, budget), strict=True):
        assert not all(micro.filler for micro in concurrent)


@settings(max_examples=100, deadline=None)
@given(batches, prompts, st.integers(2, 6), st.integers(1, 200))
def test_ranks_loads_differ_by_at_most_one_row(
    lengths: list[tuple[str, int]], prompt_tokens: dict[str, int], ranks: int, budget: int
) -> None:
    """Graham's bound: each row is assigned to the least loaded rank."""
    plan = plan_minibatch(_batch(*lengths), prompt_tokens, ranks, budget)
    loads = [sum(row.length for micro in share if not micro.filler for row in micro.rows) for share in plan]
    longest = max(row.length for share in plan for micro in share for row in micro.rows)
    assert max(loads) <= sum(loads) / ranks + longest
    assert max(loads) - min(loads) <= longest


@settings(max_examples=100, deadline=None)
@given(batches, prompts, st.integers(2, 6), st.integers(1, 200))
def test_the_fullest_passes_run_together(
    lengths: list[tuple[str, int]], prompt_tokens: dict[str, int], ranks: int, budget: int
) -> None:
    """Later passes are never longer than earlier ones."""
    plan = plan_minibatch(_batch(*lengths), prompt_tokens, ranks, budget)
    lengths_by_pass = [
        [0 if micro.filler else sum(row.length for row in micro.rows) for micro in concurrent]
        for concurrent in zip(*plan, strict=True)
    ]
    for earlier, later in pairwise(lengths_by_pass):
        assert min(earlier) >= max(later)


# --- out of memory ----------------------------------------------------------------------------------------

ERROR = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")
PROMPTS = {"a": 10}
# Two responses of 6 tokens to a prompt of 10: 10 + 5 + 5 = 20 positions in one row, 15 in each of two.
BATCH = [make_trajectory("a", index, text="xxxxxx") for index in range(2)]


def _budget(positions: int) -> tuple[PassBudget, list[tuple[int, str]]]:
    halvings: list[tuple[int, str]] = []
    return PassBudget(positions, lambda *halved: halvings.append(halved)), halvings


def test_the_budget_is_halved_and_reported() -> None:
    budget, halvings = _budget(30)
    budget.halve(BATCH, PROMPTS, ERROR)
    assert budget.positions == 15
    assert halvings == [(15, "rank 0 is out of memory (CUDA out of memory)")]


def test_a_single_response_that_does_not_fit_ends_the_run() -> None:
    """Each response is a separate row already."""
    budget, halvings = _budget(16)
    with pytest.raises(RunFailed, match=r"one response \(15 positions\).*data\.max_pixels"):
        budget.halve(BATCH, PROMPTS, ERROR)
    assert halvings == []


def test_with_several_ranks_halving_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microbatches, "world_size", lambda: 2)
    budget, halvings = _budget(30)
    with pytest.raises(RunFailed, match=r"out of memory.*resume=auto.*15 positions"):
        budget.halve(BATCH, PROMPTS, ERROR)
    assert [positions for positions, _ in halvings] == [15]


def test_the_next_start_uses_the_saved_budget(tmp_path: Path) -> None:
    assert load_budget(tmp_path, 8192) == 8192
    save_budget(tmp_path, 4096, "rank 1")
    assert load_budget(tmp_path, 8192) == 4096
    assert load_budget(tmp_path, 1024) == 1024


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"positions": "many"}', "[" * 100_000])
def test_a_damaged_budget_file_is_reported(tmp_path: Path, text: str) -> None:
    (tmp_path / "microbatch_tokens.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"microbatch_tokens\.json: cannot be read.*remove it"):
        load_budget(tmp_path, 8192)
