"""A micro-batch that does not fit: half the budget here, and at the next start."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.support.fakes import make_trajectory
from vlm_uec.errors import RunFailed, UserError
from vlm_uec.run.budget import remember_budget, remembered_budget
from vlm_uec.update import microbatches as fitting
from vlm_uec.update.microbatches import PassBudget

ERROR = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")
PROMPTS = {"a": 10}
# Two responses of 6 tokens to a prompt of 10: 10 + 5 + 5 = 20 positions in one row, 15 each apart.
BATCH = [make_trajectory("a", index, text="xxxxxx") for index in range(2)]


def _budget(positions: int) -> tuple[PassBudget, list[tuple[int, str]]]:
    told: list[tuple[int, str]] = []
    return PassBudget(positions, lambda *halved: told.append(halved)), told


def test_the_budget_is_halved_and_told() -> None:
    budget, told = _budget(30)
    budget.halve(BATCH, PROMPTS, ERROR)
    assert budget.positions == 15
    assert told == [(15, "rank 0 is out of memory (CUDA out of memory)")]


def test_what_cannot_be_split_ends_the_run() -> None:
    """Each response has a row of its own already."""
    budget, told = _budget(16)
    with pytest.raises(RunFailed, match=r"one response \(15 positions\).*data\.max_pixels"):
        budget.halve(BATCH, PROMPTS, ERROR)
    assert told == []


def test_other_ranks_wait_inside_the_pass_so_a_new_start_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "world_size", lambda: 2)
    budget, told = _budget(30)
    with pytest.raises(RunFailed, match=r"out of memory.*resume=auto.*15 positions"):
        budget.halve(BATCH, PROMPTS, ERROR)
    assert [positions for positions, _ in told] == [15]


def test_the_next_start_begins_with_what_fitted(tmp_path: Path) -> None:
    assert remembered_budget(tmp_path, 8192) == 8192
    remember_budget(tmp_path, 4096, "rank 1")
    assert remembered_budget(tmp_path, 8192) == 4096
    assert remembered_budget(tmp_path, 1024) == 1024


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"positions": "many"}', "[" * 100_000])
def test_a_damaged_memory_of_it_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "microbatch_tokens.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"microbatch_tokens\.json: cannot be read.*remove it"):
        remembered_budget(tmp_path, 8192)
