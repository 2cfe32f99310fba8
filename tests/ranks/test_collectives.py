from __future__ import annotations

import pickle

import pytest
import torch

from tests.support.fakes import run_on_ranks
from vlm_uec.errors import RunEnd, RunFailed, Stopped, UserError
from vlm_uec.ranks import collectives
from vlm_uec.ranks.collectives import gather_lists, on_first_rank


def test_gather_lists_joins_the_lists_of_all_ranks_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    gathered = run_on_ranks(monkeypatch, 3, lambda rank: gather_lists(lambda: [rank] * rank), collectives)
    assert gathered == [[1, 2, 2]] * 3


def test_a_user_error_on_one_rank_is_raised_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(rank: int) -> str:
        def produce() -> list[int]:
            if rank == 1:
                raise UserError("rank 1 has no room")
            return [rank]

        try:
            return str(gather_lists(produce))
        except UserError as error:
            return str(error)

    assert run_on_ranks(monkeypatch, 3, work, collectives) == ["rank 1 has no room"] * 3


def test_a_failure_on_one_rank_is_named_by_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise they would wait for it and then report a network error."""

    def work(rank: int) -> str:
        def produce() -> list[int]:
            return [1 // (rank - 1)]

        try:
            return str(gather_lists(produce))
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    results = run_on_ranks(monkeypatch, 3, work, collectives)
    assert results[1] == "ZeroDivisionError: integer division or modulo by zero"
    assert results[0] == results[2] == f"RunFailed: rank 1 failed: {results[1]}"


def test_on_first_rank_runs_on_rank_0_and_raises_its_error_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []

    def work(rank: int) -> str:
        def fails() -> None:
            ran.append(rank)
            raise UserError("no")

        try:
            on_first_rank(fails)
        except UserError as error:
            return str(error)
        return "no error"

    assert run_on_ranks(monkeypatch, 2, work, collectives) == ["no", "no"]
    assert ran == [0]


def _raised(monkeypatch: pytest.MonkeyPatch, *errors: Exception | None) -> list[str]:
    """What `gather_lists` raises on each rank if the work of rank i raises `errors[i]`."""

    def work(rank: int) -> str:
        def produce() -> list[int]:
            if (error := errors[rank]) is not None:
                raise error
            return [rank]

        try:
            return str(gather_lists(produce))
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    return run_on_ranks(monkeypatch, len(errors), work, collectives)


def test_a_stop_on_one_rank_is_a_stop_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _raised(monkeypatch, None, Stopped(15)) == ["Stopped: stopped by signal 15"] * 2


def test_an_error_takes_precedence_over_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _raised(monkeypatch, Stopped(15), UserError("no room")) == ["UserError: no room"] * 2
    assert _raised(monkeypatch, Stopped(15), RunFailed("no memory")) == ["RunFailed: no memory"] * 2
    raised = _raised(monkeypatch, Stopped(15), ValueError("a bug"))
    assert raised == ["RunFailed: rank 1 failed: ValueError: a bug", "ValueError: a bug"]


def test_out_of_memory_on_one_rank_names_the_settings_to_lower_on_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a rollout, whose responses the ranks gather."""
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB. GPU 1 has …")
    raised = _raised(monkeypatch, None, error)
    assert raised[0] == raised[1]
    assert raised[0].startswith(
        "RunFailed: rank 1 is out of memory (CUDA out of memory): lower rollout.slots,"
    )


@pytest.mark.parametrize("error", [UserError("no room"), RunFailed("no memory"), Stopped(2)])
def test_run_ends_survive_pickling(error: RunEnd) -> None:
    restored = pickle.loads(pickle.dumps(error))
    assert (type(restored), str(restored), restored.exit_code) == (type(error), str(error), error.exit_code)


def test_a_single_process_needs_no_process_group() -> None:
    assert gather_lists(lambda: [1, 2]) == [1, 2]
    with pytest.raises(UserError, match="no"):
        on_first_rank(_refuse)


def _refuse() -> None:
    raise UserError("no")
