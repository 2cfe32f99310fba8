"""Buffers are saved and loaded bit for bit, so that a resumed run is identical."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import make_trajectory
from vlm_uec.checkpoint.storage import load_scored, load_trajectories, save_scored, save_trajectories
from vlm_uec.types import ScoredTrajectory, Trajectory

TENSORS = ("tokens", "behaviour_logprobs", "policy_logprobs", "entropy", "kept_mass")


def _identical(actual: torch.Tensor | None, expected: torch.Tensor | None) -> bool:
    if actual is None or expected is None:
        return actual is expected
    # Compared as bytes: with ==, -0.0 equals 0.0 and NaN differs from itself.
    return actual.dtype == expected.dtype and actual.numpy().tobytes() == expected.numpy().tobytes()


def _assert_identical(actual: Trajectory, expected: Trajectory) -> None:
    for name in TENSORS:
        assert _identical(getattr(actual.response, name), getattr(expected.response, name)), name
    for name in ("problem_id", "index", "source", "truncated"):
        assert getattr(actual.response, name) == getattr(expected.response, name), name
    assert (actual.reward, actual.advantage, actual.step) == (
        expected.reward,
        expected.advantage,
        expected.step,
    )


def _special_cases() -> list[Trajectory]:
    """Different lengths, fractions without an exact decimal, a negative zero, non-ASCII text."""
    plain = make_trajectory("geometry3k/12", 0, text="abc", advantage=0.1 + 0.2, step=12)
    entropy = torch.tensor([1 / 3, -0.0, 1e-38])
    odd = replace(plain, response=replace(plain.response, index=1, entropy=entropy))
    last = make_trajectory(
        "角度 \n", 23, source="exploration", text="y", truncated=True, advantage=-1.1547005383792515
    )
    return [plain, odd, last]


def test_trajectories_round_trip(tmp_path: Path) -> None:
    save_trajectories(tmp_path / "pending", _special_cases())
    loaded = load_trajectories(tmp_path / "pending")
    assert len(loaded) == 3
    for actual, expected in zip(loaded, _special_cases(), strict=True):
        _assert_identical(actual, expected)


def test_scored_trajectories_round_trip(tmp_path: Path) -> None:
    scored = [ScoredTrajectory(t, -t.response.entropy / 3, -t.response.entropy / 7) for t in _special_cases()]
    save_scored(tmp_path / "replay", scored)
    loaded = load_scored(tmp_path / "replay")
    for actual, expected in zip(loaded, scored, strict=True):
        _assert_identical(actual.trajectory, expected.trajectory)
        assert _identical(actual.old_logprobs, expected.old_logprobs)
        assert _identical(actual.reference_logprobs, expected.reference_logprobs)


def test_no_reference_stays_none(tmp_path: Path) -> None:
    save_scored(
        tmp_path / "replay", [ScoredTrajectory(t, t.response.entropy, None) for t in _special_cases()]
    )
    assert [item.reference_logprobs for item in load_scored(tmp_path / "replay")] == [None] * 3


def test_empty_buffers_stay_empty(tmp_path: Path) -> None:
    save_trajectories(tmp_path / "pending", [])
    save_scored(tmp_path / "replay", [])
    assert load_trajectories(tmp_path / "pending") == []
    assert load_scored(tmp_path / "replay") == []


def test_loaded_tensors_are_not_views(tmp_path: Path) -> None:
    """A view would keep the storage of all trajectories in memory."""
    save_scored(
        tmp_path / "replay", [ScoredTrajectory(t, t.response.entropy, None) for t in _special_cases()]
    )
    for item in load_scored(tmp_path / "replay"):
        for tensor in (item.old_logprobs, *(getattr(item.trajectory.response, name) for name in TENSORS)):
            assert tensor.untyped_storage().nbytes() == tensor.nbytes


def test_the_mismatch_of_another_sampler_is_not_saved(tmp_path: Path) -> None:
    plain = make_trajectory("p", 0, text="abc")
    mismatch = torch.zeros(3)
    save_trajectories(tmp_path / "x", [replace(plain, response=replace(plain.response, mismatch=mismatch))])
    (loaded,) = load_trajectories(tmp_path / "x")
    _assert_identical(loaded, plain)
    assert loaded.response.mismatch is None


def test_no_pixels_are_written(tmp_path: Path) -> None:
    """Only tokens, four numbers per token and a JSON row: prompts are encoded again from their id."""
    save_trajectories(tmp_path / "pending", _special_cases())
    row = json.loads((tmp_path / "pending.json").read_text(encoding="utf-8"))[0]
    assert set(row) == {
        "problem_id", "index", "source", "truncated", "length", "reward", "advantage", "step",
    }  # fmt: skip
    # 7 tokens of 8 + 4 * 4 bytes, and safetensors' header.
    assert (tmp_path / "pending.safetensors").stat().st_size < 7 * 24 + 1000


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.floats(allow_nan=False, allow_infinity=False), st.booleans()),
        max_size=6,
    )
)
def test_any_buffer_round_trips(rows: list[tuple[int, float, bool]]) -> None:
    trajectories = [
        make_trajectory("p", index, text="z" * length, advantage=advantage, truncated=truncated)
        for index, (length, advantage, truncated) in enumerate(rows)
    ]
    with tempfile.TemporaryDirectory() as directory:
        save_trajectories(Path(directory) / "pending", trajectories)
        loaded = load_trajectories(Path(directory) / "pending")
    assert len(loaded) == len(trajectories)
    for actual, expected in zip(loaded, trajectories, strict=True):
        _assert_identical(actual, expected)
