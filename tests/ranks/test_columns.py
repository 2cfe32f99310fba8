"""Trajectories and log-probs arrive on every rank exactly as they were, in rank order."""

from __future__ import annotations

import pickle
from dataclasses import fields
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fakes import run_on_ranks
from vlm_uec.errors import RunFailed
from vlm_uec.ranks import collectives, columns
from vlm_uec.ranks.columns import TrajectoryColumns, gather_trajectories, gather_union
from vlm_uec.types import Response, Reward, Trajectory

FLOATS = st.floats(width=32)  # infinities and NaN included


@st.composite
def trajectories(draw: st.DrawFn) -> Trajectory:
    length = draw(st.integers(0, 5))

    def statistic() -> torch.Tensor:
        return torch.tensor(draw(st.lists(FLOATS, min_size=length, max_size=length)), dtype=torch.float32)

    ids = st.lists(st.integers(0, 2**40), min_size=length, max_size=length)
    response = Response(
        problem_id=draw(st.text(max_size=5)),
        index=draw(st.integers(0, 30)),
        source=draw(st.sampled_from(["regular", "exploration"])),
        tokens=torch.tensor(draw(ids), dtype=torch.int64),
        behaviour_logprobs=statistic(),
        policy_logprobs=statistic(),
        entropy=statistic(),
        kept_mass=statistic(),
        truncated=draw(st.booleans()),
        mismatch=draw(st.one_of(st.none(), st.builds(statistic))),
    )
    total, accuracy, form, advantage = (draw(st.floats(allow_nan=False)) for _ in range(4))
    verdict = draw(st.sampled_from([None, "right"]))
    reward = Reward(total, accuracy, form, draw(st.text(max_size=5)), verdict)
    return Trajectory(response, reward, advantage, step=draw(st.integers(0, 9)))


def _assert_equal(one: Trajectory, other: Trajectory) -> None:
    assert (one.reward, one.advantage, one.step) == (other.reward, other.advantage, other.step)
    for field in fields(Response):
        left, right = (getattr(trajectory.response, field.name) for trajectory in (one, other))
        if isinstance(left, torch.Tensor):
            assert left.dtype == right.dtype and left.is_contiguous()
            as_bits = torch.int32 if left.dtype == torch.float32 else left.dtype
            assert torch.equal(left.view(as_bits), right.view(as_bits)), field.name
        else:
            assert left == right, field.name


@settings(max_examples=60, deadline=None)
@given(st.lists(trajectories(), max_size=4))
def test_trajectories_come_back_to_the_last_bit(given_ones: list[Trajectory]) -> None:
    sent: TrajectoryColumns = pickle.loads(pickle.dumps(TrajectoryColumns.of(given_ones)))
    arrived = sent.trajectories()
    assert len(arrived) == len(given_ones)
    for one, other in zip(arrived, given_ones, strict=True):
        _assert_equal(one, other)


def _trajectory(index: int, length: int = 3) -> Trajectory:
    values = torch.arange(float(length)) + index
    response = Response(
        "p", index, "regular", values.long(), values, values + 1, values + 2, values + 3, truncated=False
    )
    return Trajectory(response, Reward(1.0, 1.0, 0.0, ""), 0.5, step=1)


def test_a_kept_trajectory_does_not_keep_the_others_memory() -> None:
    first, _ = TrajectoryColumns.of([_trajectory(0, 2), _trajectory(1, 1000)]).trajectories()
    response = first.response
    for tensor in (response.tokens, response.entropy):
        assert tensor.untyped_storage().nbytes() <= 4 * 2 * 4


def test_every_rank_has_all_trajectories_in_rank_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(rank: int) -> list[int]:
        own = [_trajectory(10 * rank + number) for number in range(rank)]
        return [trajectory.response.index for trajectory in gather_trajectories(lambda: own)]

    assert run_on_ranks(monkeypatch, 3, work, collectives, columns) == [[10, 20, 21]] * 3


def test_an_error_on_one_rank_is_raised_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(rank: int) -> str:
        def produce() -> list[Trajectory]:
            if rank == 1:
                raise ValueError("no")
            return [_trajectory(rank)]

        try:
            return str(gather_trajectories(produce))
        except (ValueError, RunFailed) as error:
            return f"{type(error).__name__}: {error}"

    assert run_on_ranks(monkeypatch, 2, work, collectives, columns) == [
        "RunFailed: rank 1 failed: ValueError: no",
        "ValueError: no",
    ]


def test_log_probs_of_all_ranks_by_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(rank: int) -> Any:
        own = {(1, "p", index): torch.arange(float(index)) - rank for index in range(rank, 2 * rank)}
        return {key: values.tolist() for key, values in gather_union(own).items()}

    expected = {(1, "p", 1): [-1.0], (1, "p", 2): [-2.0, -1.0], (1, "p", 3): [-2.0, -1.0, 0.0]}
    assert run_on_ranks(monkeypatch, 3, work, collectives, columns) == [expected] * 3
