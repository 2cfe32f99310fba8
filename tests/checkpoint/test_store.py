"""Checkpoints are complete or absent, and are rejected with advice if they do not match the run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fakes import make_trajectory
from vlm_uec.checkpoint import Contents, find_checkpoint, load_state, save_checkpoint
from vlm_uec.checkpoint import store as checkpoint
from vlm_uec.checkpoint.directory import CheckpointDirectory, KeepCounts
from vlm_uec.checkpoint.state import Origin, TrainState
from vlm_uec.errors import UserError
from vlm_uec.types import ScoredTrajectory

ORIGIN = Origin(data="data", model="model", layout="layout")
TWO = KeepCounts(2, 0)


def _state(step: int, score: float | None = None) -> TrainState:
    pending = tuple(make_trajectory("a", index, step=step) for index in range(3))
    replayed = make_trajectory("b", 0, step=step)
    replay = (ScoredTrajectory(replayed, replayed.response.entropy, None),)
    metrics = {"grad_norm": 0.5} if score is None else {"grad_norm": 0.5, "eval/pass@1": score}
    return TrainState(step, pending, replay, metrics, finished=True, bad_updates=2)


def _weights(directory: Path) -> None:
    (directory / "zero").mkdir()
    (directory / "zero" / "zero_pp_rank_0_mp_rank_00_model_states.pt").write_bytes(b"weights")


def _save(run_dir: Path, step: int, keep: KeepCounts = TWO, score: float | None = None) -> Path:
    run_dir.mkdir(exist_ok=True)
    contents = Contents(_state(step, score), ORIGIN, "config: text\n")
    save_checkpoint(run_dir, contents, _weights, keep)
    return run_dir / "checkpoints" / f"step_{step:06d}"


def _names(run_dir: Path) -> list[str]:
    return sorted(path.name for path in (run_dir / "checkpoints").iterdir())


def test_a_checkpoint_returns_the_state(tmp_path: Path) -> None:
    written = _save(tmp_path, 10)
    assert (written / "config.yaml").read_text(encoding="utf-8") == "config: text\n"
    state = load_state(written, ORIGIN)
    assert (state.step, state.finished, state.bad_updates) == (10, True, 2)
    assert state.metrics == {"grad_norm": 0.5}
    assert [t.key for t in state.pending] == [(10, "a", 0), (10, "a", 1), (10, "a", 2)]
    assert [item.trajectory.key for item in state.replay] == [(10, "b", 0)]


def test_every_file_is_listed_with_its_size_and_hash(tmp_path: Path) -> None:
    written = _save(tmp_path, 10)
    listed = json.loads((written / "manifest.json").read_text(encoding="utf-8"))["files"]
    present = {p.relative_to(written).as_posix() for p in written.rglob("*") if p.is_file()}
    assert set(listed) == present - {"manifest.json"}
    # printf weights | sha256sum
    assert listed["zero/zero_pp_rank_0_mp_rank_00_model_states.pt"] == {
        "bytes": 7,
        "sha256": "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c",
    }


def test_latest_names_the_newest_and_older_ones_are_removed(tmp_path: Path) -> None:
    for step in (5, 10, 15):
        _save(tmp_path, step, KeepCounts(2, 0))
    assert _names(tmp_path) == ["latest", "step_000010", "step_000015"]
    assert (tmp_path / "checkpoints" / "latest").read_text(encoding="utf-8") == "step_000015\n"
    assert find_checkpoint(tmp_path, "auto") == tmp_path / "checkpoints" / "step_000015"


def test_the_best_by_validation_is_kept_and_named(tmp_path: Path) -> None:
    for step, score in ((5, 0.25), (10, 0.5), (15, 0.375), (20, None), (25, None)):
        _save(tmp_path, step, KeepCounts(1, 1), score)
    assert _names(tmp_path) == ["best", "latest", "step_000010", "step_000025"]
    assert (tmp_path / "checkpoints" / "best").read_text(encoding="utf-8") == "step_000010\n"


def test_a_run_resumed_from_an_earlier_step_keeps_its_checkpoint(tmp_path: Path) -> None:
    """Later checkpoints of the earlier run must not replace the one just written."""
    for step in (10, 20, 30):
        _save(tmp_path, step, KeepCounts(3, 0))
    written = _save(tmp_path, 11, KeepCounts(1, 0))
    assert find_checkpoint(tmp_path, "auto") == written
    assert written.is_dir()


def test_saving_a_step_again_replaces_it(tmp_path: Path) -> None:
    first = _save(tmp_path, 10)
    (first / "mark").touch()
    assert not (_save(tmp_path, 10) / "mark").exists()
    assert _names(tmp_path) == ["latest", "step_000010"]


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_write_leaves_the_previous_checkpoint(tmp_path: Path) -> None:
    previous = _save(tmp_path, 10)

    def die(directory: Path) -> None:
        _weights(directory)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, Contents(_state(20), ORIGIN, ""), die, KeepCounts(1, 0))
    assert find_checkpoint(tmp_path, "auto") == previous
    assert load_state(previous, ORIGIN).step == 10
    assert _names(tmp_path) == ["latest", "step_000010"]


@pytest.mark.parametrize("step", [10, 20], ids=["the same step", "a later step"])
@pytest.mark.parametrize("last", ["rename", "set_pointer", "prune"])
def test_an_interrupted_publication_leaves_a_complete_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str, step: int
) -> None:
    _save(tmp_path, 10)
    renames = iter(range(100))
    rename: Callable[[Path, Path], Path] = Path.rename

    def die_at_second(path: Path, target: Path) -> Path:
        # If the step is written again, the first rename moves the old one.
        if next(renames) == (1 if step == 10 else 0):
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if last == "rename":
            patch.setattr(Path, "rename", die_at_second)
        else:
            patch.setattr(CheckpointDirectory, last, _interrupt)
        _save(tmp_path, step, KeepCounts(1, 0))
    CheckpointDirectory(tmp_path).recover()
    found = find_checkpoint(tmp_path, "auto")
    assert found is not None
    assert load_state(found, ORIGIN).step == (20 if step == 20 and last == "prune" else 10)
    assert not [name for name in _names(tmp_path) if name.startswith(".")]


def test_leftovers_of_an_interrupted_write_are_removed(tmp_path: Path) -> None:
    left = tmp_path / "checkpoints" / ".writing-step_000010"
    (left / "zero").mkdir(parents=True)
    (left / "stale").touch()
    written = _save(tmp_path, 10)
    assert not (written / "stale").exists()
    assert _names(tmp_path) == ["latest", "step_000010"]


def test_a_deleted_run_directory_is_not_recreated(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    _save(run_dir, 10)
    shutil.rmtree(run_dir)
    with pytest.raises(UserError, match="deleted or moved"):
        save_checkpoint(run_dir, Contents(_state(20), ORIGIN, ""), _weights, KeepCounts(1, 0))
    assert not run_dir.exists()


def test_disk_space_is_checked_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The required space is the size of the last checkpoint."""
    _save(tmp_path, 10)
    required: list[float] = []
    monkeypatch.setattr(checkpoint, "check_disk_space", lambda path, setting, size: required.append(size))
    _save(tmp_path, 20, KeepCounts(2, 0))
    first = tmp_path / "checkpoints" / "step_000010"
    sizes = [p.stat().st_size for p in first.rglob("*") if p.is_file() and p.name != "manifest.json"]
    assert required == [sum(sizes)]


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        (Origin("other", "model", "layout"), r"step_000010.*other problems.*data\.path"),
        (Origin("data", "other", "layout"), r"step_000010.*another model.*model\.path"),
        (
            Origin("data", "model", "other"),
            r"step_000010.*partitioned with layout, but .* has other",
        ),
    ],
)
def test_another_origin_is_rejected(tmp_path: Path, origin: Origin, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_state(_save(tmp_path, 10), origin)


GOOD = {
    "step": 1,
    "world_size": 1,
    "data": "data",
    "model": "model",
    "layout": "layout",
    "metrics": {},
    "finished": True,
    "bad_updates": 0,
}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[]",
        "{}",
        json.dumps({key: value for key, value in GOOD.items() if key != "data"}),
        json.dumps({**GOOD, "step": "1"}),
        json.dumps({**GOOD, "step": True}),
        json.dumps({**GOOD, "metrics": {"loss": "low"}}),
        json.dumps({**GOOD, "metrics": []}),
        "[" * 100_000,
    ],
)
def test_a_damaged_record_is_rejected(tmp_path: Path, text: str) -> None:
    written = _save(tmp_path, 10)
    (written / "state.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="not a checkpoint"):
        load_state(written, ORIGIN)


def test_a_path_without_a_checkpoint_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="contains no checkpoint"):
        find_checkpoint(tmp_path, str(tmp_path / "nowhere"))


def test_a_latest_that_names_a_missing_checkpoint_is_rejected(tmp_path: Path) -> None:
    shutil.rmtree(_save(tmp_path, 10))
    with pytest.raises(UserError, match=r"names step_000010.*resume=PATH"):
        find_checkpoint(tmp_path, "auto")


@pytest.mark.parametrize("text", ["", "../../elsewhere", "step_1", "step_000010/..", "\0", "step_000010 x"])
def test_an_invalid_latest_is_rejected(tmp_path: Path, text: str) -> None:
    _save(tmp_path, 10)
    (tmp_path / "checkpoints" / "latest").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="does not name a checkpoint"):
        find_checkpoint(tmp_path, "auto")


def test_a_run_directory_in_use_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(UserError, match=r"exists: set resume=auto"):
        find_checkpoint(tmp_path, "never")


def test_a_new_or_empty_run_directory_has_no_checkpoint(tmp_path: Path) -> None:
    for run_dir in (tmp_path, tmp_path / "new"):
        assert find_checkpoint(run_dir, "never") is None
        assert find_checkpoint(run_dir, "auto") is None


def test_a_path_selects_its_checkpoint(tmp_path: Path) -> None:
    first = _save(tmp_path, 10)
    _save(tmp_path, 20)
    for run_dir in (tmp_path, tmp_path / "elsewhere"):
        assert find_checkpoint(run_dir, str(first)) == first


def test_another_runs_checkpoint_needs_another_directory(tmp_path: Path) -> None:
    other = _save(tmp_path / "other", 10)
    _save(tmp_path / "mine", 5)
    with pytest.raises(UserError, match=r"mine contains other checkpoints"):
        find_checkpoint(tmp_path / "mine", str(other))


def test_a_copy_under_another_name_is_rejected(tmp_path: Path) -> None:
    """Its name would be written into `latest`."""
    copy = shutil.copytree(_save(tmp_path, 10), tmp_path / "checkpoints" / "step_000010.bak")
    with pytest.raises(UserError, match=r"its name is not step_"):
        find_checkpoint(tmp_path, str(copy))


def test_without_latest_the_newest_is_used(tmp_path: Path) -> None:
    """The run was killed before it wrote the pointer, or the pointer was not copied."""
    _save(tmp_path, 10)
    newest = _save(tmp_path, 20)
    (tmp_path / "checkpoints" / "latest").unlink()
    assert find_checkpoint(tmp_path, "auto") == newest


@pytest.mark.parametrize("damaged", ["record", "manifest", "all"])
def test_a_damaged_older_checkpoint_does_not_prevent_saving(tmp_path: Path, damaged: str) -> None:
    older = _save(tmp_path, 10)
    if damaged == "all":
        shutil.rmtree(older)
    else:
        (older / {"record": "state.json", "manifest": "manifest.json"}[damaged]).write_text("{")
    assert load_state(_save(tmp_path, 20, KeepCounts(1, 1), 0.5), ORIGIN).step == 20


def test_best_names_an_existing_checkpoint(tmp_path: Path) -> None:
    best = tmp_path / "checkpoints" / "best"
    _save(tmp_path, 10, KeepCounts(1, 1), 0.5)
    assert best.read_text(encoding="utf-8") == "step_000010\n"
    _save(tmp_path, 20, KeepCounts(1, 0), 0.25)
    assert not best.exists()
    _save(tmp_path, 30, KeepCounts(3, 1), 0.9)
    _save(tmp_path, 15, KeepCounts(3, 1), 0.1)  # an earlier step: later checkpoints are not counted as best
    assert best.read_text(encoding="utf-8") == "step_000015\n"
