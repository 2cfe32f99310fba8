from __future__ import annotations

import pickle

import pytest
import torch

from tests.support.fakes import on_ranks
from vlm_uec.errors import RunEnd, RunFailed, Stopped, UserError
from vlm_uec.ranks import collectives as distributed
from vlm_uec.ranks.collectives import gather_lists, on_first_rank


def test_lists_of_all_ranks_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    together = on_ranks(monkeypatch, 3, lambda rank: gather_lists(lambda: [rank] * rank), distributed)
    assert together == [[1, 2, 2]] * 3


def test_a_fault_on_one_rank_is_a_fault_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(rank: int) -> str:
        def give() -> list[int]:
            if rank == 1:
                raise UserError("rank 1 has no room")
            return [rank]

        try:
            return str(gather_lists(give))
        except UserError as error:
            return str(error)

    assert on_ranks(monkeypatch, 3, work, distributed) == ["rank 1 has no room"] * 3


def test_a_failure_on_one_rank_is_named_by_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would wait for it, and then blame the network."""

    def work(rank: int) -> str:
        def give() -> list[int]:
            return [1 // (rank - 1)]

        try:
            return str(gather_lists(give))
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    told = on_ranks(monkeypatch, 3, work, distributed)
    assert told[1] == "ZeroDivisionError: integer division or modulo by zero"
    assert told[0] == told[2] == f"RunFailed: rank 1 failed: {told[1]}"


def test_the_first_rank_works_and_all_hear_of_its_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    did: list[int] = []

    def work(rank: int) -> str:
        def fails() -> None:
            did.append(rank)
            raise UserError("no")

        try:
            on_first_rank(fails)
        except UserError as error:
            return str(error)
        return "went on"

    assert on_ranks(monkeypatch, 2, work, distributed) == ["no", "no"]
    assert did == [0]


def _raised(monkeypatch: pytest.MonkeyPatch, *errors: Exception | None) -> list[str]:
    """What `gather_lists` raises on each rank where its work raised these."""

    def work(rank: int) -> str:
        def give() -> list[int]:
            if (error := errors[rank]) is not None:
                raise error
            return [rank]

        try:
            return str(gather_lists(give))
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    return on_ranks(monkeypatch, len(errors), work, distributed)


def test_a_stop_on_one_rank_is_a_stop_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _raised(monkeypatch, None, Stopped(15)) == ["Stopped: stopped by signal 15"] * 2


def test_a_fault_goes_before_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _raised(monkeypatch, Stopped(15), UserError("no room")) == ["UserError: no room"] * 2
    assert _raised(monkeypatch, Stopped(15), RunFailed("no memory")) == ["RunFailed: no memory"] * 2
    told = _raised(monkeypatch, Stopped(15), ValueError("a bug"))
    assert told == ["RunFailed: rank 1 failed: ValueError: a bug", "ValueError: a bug"]


def test_too_little_memory_on_one_rank_is_a_line_with_the_way_out_on_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a rollout, whose responses the ranks gather."""
    fault = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB. GPU 1 has …")
    told = _raised(monkeypatch, None, fault)
    assert told[0] == told[1]
    assert told[0].startswith("RunFailed: rank 1 is out of memory (CUDA out of memory): lower rollout.slots,")


@pytest.mark.parametrize("error", [UserError("no room"), RunFailed("no memory"), Stopped(2)])
def test_ends_survive_the_way_to_another_rank(error: RunEnd) -> None:
    arrived = pickle.loads(pickle.dumps(error))
    assert (type(arrived), str(arrived), arrived.exit_code) == (type(error), str(error), error.exit_code)


def test_alone_it_is_plain() -> None:
    assert gather_lists(lambda: [1, 2]) == [1, 2]
    with pytest.raises(UserError, match="no"):
        on_first_rank(_refuse)


def _refuse() -> None:
    raise UserError("no")
