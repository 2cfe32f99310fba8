"""Checkpoints are whole or absent, and tell a run that does not fit what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.fakes import make_trajectory
from vlm_uec import checkpoint
from vlm_uec.checkpoint import TrainState, find_checkpoint, load_state, save_checkpoint
from vlm_uec.errors import UserError
from vlm_uec.types import ScoredTrajectory

DATA = "fingerprint"


def _state(step: int) -> TrainState:
    pending = tuple(make_trajectory("a", index, step=step) for index in range(3))
    waiting = make_trajectory("b", 0, step=step)
    replay = (ScoredTrajectory(waiting, waiting.response.entropy, None),)
    return TrainState(step, pending, replay, DATA)


def _weights(directory: Path) -> None:
    (directory / "zero").mkdir()
    (directory / "zero" / "rank0").write_text("weights", encoding="utf-8")


def _save(run_dir: Path, step: int, keep: int = 2) -> Path:
    return save_checkpoint(run_dir, _state(step), _weights, "config: text\n", keep)


def _names(run_dir: Path) -> list[str]:
    return sorted(path.name for path in (run_dir / "checkpoints").iterdir())


def test_a_checkpoint_returns_the_state(tmp_path: Path) -> None:
    written = _save(tmp_path, 10)
    assert written == tmp_path / "checkpoints" / "step_000010"
    assert (written / "zero" / "rank0").read_text(encoding="utf-8") == "weights"
    assert (written / "config.yaml").read_text(encoding="utf-8") == "config: text\n"
    state = load_state(written, DATA)
    assert state.step == 10
    assert [t.key for t in state.pending] == [(10, "a", 0), (10, "a", 1), (10, "a", 2)]
    assert [item.trajectory.key for item in state.replay] == [(10, "b", 0)]


def test_latest_names_the_newest_and_older_ones_go(tmp_path: Path) -> None:
    for step in (5, 10, 15):
        _save(tmp_path, step, keep=2)
    assert _names(tmp_path) == ["latest", "step_000010", "step_000015"]
    assert (tmp_path / "checkpoints" / "latest").read_text(encoding="utf-8") == "step_000015\n"
    assert find_checkpoint(tmp_path, "auto") == tmp_path / "checkpoints" / "step_000015"


def test_one_is_kept_where_one_is_asked_for(tmp_path: Path) -> None:
    for step in (9, 10):
        _save(tmp_path, step, keep=1)
    assert _names(tmp_path) == ["latest", "step_000010"]


def test_a_run_resumed_from_an_earlier_step_keeps_what_it_writes(tmp_path: Path) -> None:
    """Checkpoints of the abandoned future are no newer ones: they must not push out the one just written."""
    for step in (10, 20, 30):
        _save(tmp_path, step, keep=3)
    written = _save(tmp_path, 11, keep=1)
    assert find_checkpoint(tmp_path, "auto") == written
    assert written.is_dir()


def test_a_step_saved_again_replaces_the_first(tmp_path: Path) -> None:
    first = _save(tmp_path, 10)
    (first / "mark").touch()
    assert not (_save(tmp_path, 10) / "mark").exists()


def test_dying_while_weights_are_written_leaves_the_previous_one_whole(tmp_path: Path) -> None:
    previous = _save(tmp_path, 10)

    def die(directory: Path) -> None:
        _weights(directory)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, _state(20), die, "", 1)
    assert find_checkpoint(tmp_path, "auto") == previous
    assert load_state(previous, DATA).step == 10
    assert not (tmp_path / "checkpoints" / "step_000020").exists()


@pytest.mark.parametrize("last", ["_sync_tree", "_point_latest"])
def test_dying_between_writing_and_naming_leaves_the_previous_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    previous = _save(tmp_path, 10)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoint, last, die)
        _save(tmp_path, 20, keep=1)
    assert find_checkpoint(tmp_path, "auto") == previous
    assert load_state(previous, DATA).step == 10


def test_what_a_dead_writer_left_is_not_in_the_next_ones_way(tmp_path: Path) -> None:
    left = tmp_path / "checkpoints" / ".writing-step_000010"
    (left / "zero").mkdir(parents=True)
    (left / "stale").touch()
    written = _save(tmp_path, 10)
    assert not (written / "stale").exists()
    assert _names(tmp_path) == ["latest", "step_000010"]


def test_other_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"step_000010.*other problems.*data\.path"):
        load_state(_save(tmp_path, 10), "other")


def test_another_world_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = _save(tmp_path, 10)
    monkeypatch.setattr(checkpoint, "world_size", lambda: 2)
    with pytest.raises(UserError, match=r"written by 1 ranks.*not 2"):
        load_state(written, DATA)


@pytest.mark.parametrize("text", ["", "[", "[]", "{}", json.dumps({"step": 1, "world_size": 1})])
def test_a_damaged_record_is_refused(tmp_path: Path, text: str) -> None:
    written = _save(tmp_path, 10)
    (written / "state.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="not a checkpoint"):
        load_state(written, DATA)


def test_a_path_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint there"):
        find_checkpoint(tmp_path, str(tmp_path / "nowhere"))


def test_a_latest_that_names_nothing_is_refused(tmp_path: Path) -> None:
    shutil.rmtree(_save(tmp_path, 10))
    with pytest.raises(UserError, match=r"names step_000010.*resume=PATH"):
        find_checkpoint(tmp_path, "auto")


def test_a_taken_run_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(UserError, match=r"exists: set resume=auto"):
        find_checkpoint(tmp_path, "never")


def test_a_fresh_or_empty_run_directory_starts_afresh(tmp_path: Path) -> None:
    for run_dir in (tmp_path, tmp_path / "new"):
        assert find_checkpoint(run_dir, "never") is None
        assert find_checkpoint(run_dir, "auto") is None


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    first = _save(tmp_path, 10)
    _save(tmp_path, 20)
    assert find_checkpoint(tmp_path / "elsewhere", str(first)) == first
