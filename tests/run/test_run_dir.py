"""Run directories: one run at a time, resuming, and no directory after a user error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkpoint.test_store import _save
from tests.support.fakes import make_config
from vlm_uec.config import dump_config
from vlm_uec.errors import UserError
from vlm_uec.run import run_dir as run_dir_module
from vlm_uec.run.run_dir import check_shared, claim, open_run_dir

CLAIM = (
    "import sys; from pathlib import Path; from vlm_uec.run.run_dir import claim; claim(Path(sys.argv[1]))"
)


def _checkpoint(run_dir: Path, step: int) -> Path:
    written = _save(run_dir, step)
    (written / "config.yaml").write_text(dump_config(make_config()), encoding="utf-8")
    return written


def test_a_new_run_has_no_checkpoint_and_creates_no_directory_yet(tmp_path: Path) -> None:
    for resume in ("never", "auto"):
        run_dir = tmp_path / resume
        start = open_run_dir(make_config(f"train.run_dir={run_dir}", f"resume={resume}"))
        assert (start.checkpoint, start.own, start.trained, start.changed_settings) == (None, False, 0, ())
        assert not run_dir.exists()


def test_a_run_resumes_from_its_newest_checkpoint(tmp_path: Path) -> None:
    _checkpoint(tmp_path, 10)
    newest = _checkpoint(tmp_path, 20)
    start = open_run_dir(make_config(f"train.run_dir={tmp_path}", "resume=auto", "optim.lr=1e-5"))
    assert (start.checkpoint, start.own, start.saved_world_size, start.trained) == (newest, True, 1, 20)
    assert start.changed_settings == ("optim.lr 0.0003 -> 1e-05",)


def test_a_run_may_resume_from_an_earlier_checkpoint(tmp_path: Path) -> None:
    """Nothing is changed before the checkpoint is verified."""
    earlier = _checkpoint(tmp_path, 10)
    _checkpoint(tmp_path, 20)
    start = open_run_dir(make_config(f"train.run_dir={tmp_path}", f"resume={earlier}"))
    assert (start.checkpoint, start.own) == (earlier, True)
    assert (tmp_path / "checkpoints" / "latest").read_text(encoding="utf-8") == "step_000020\n"


def test_another_runs_checkpoint_may_start_a_new_run(tmp_path: Path) -> None:
    other = _checkpoint(tmp_path / "other", 10)
    start = open_run_dir(make_config(f"train.run_dir={tmp_path / 'mine'}", f"resume={other}"))
    assert (start.checkpoint, start.own) == (other, False)
    assert not (tmp_path / "mine").exists()


def test_leftovers_of_an_interrupted_run_are_removed(tmp_path: Path) -> None:
    _checkpoint(tmp_path, 10)
    for name in (".writing-step_000020", ".writing-scratch", ".old-step_000005"):
        (tmp_path / "checkpoints" / name / "zero").mkdir(parents=True)
    open_run_dir(make_config(f"train.run_dir={tmp_path}", "resume=auto"))
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["latest", "step_000010"]


def test_a_directory_is_used_by_one_run_at_a_time(tmp_path: Path) -> None:
    claim(tmp_path)
    other = subprocess.run(
        [sys.executable, "-c", CLAIM, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert other.returncode != 0
    assert (
        f"UserError: train.run_dir {tmp_path}: another run is using it; choose another directory"
        in other.stderr
    )


def test_a_directory_that_is_not_shared_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rank's local disk may have the lock file of an earlier run."""
    monkeypatch.setattr(run_dir_module, "VISIBLE_WITHIN_S", 0.3)
    token = claim(tmp_path / "shared")
    check_shared(tmp_path / "shared", token)
    (tmp_path / "local").mkdir()
    for content in (None, "an older token"):
        if content:
            (tmp_path / "local" / ".lock").write_text(content, encoding="utf-8")
        with pytest.raises(UserError, match=r"local: rank 0 cannot read what rank 0 wrote"):
            check_shared(tmp_path / "local", token)


def test_incompatible_settings_are_an_error_before_the_model_is_loaded(tmp_path: Path) -> None:
    _checkpoint(tmp_path, 10)
    with pytest.raises(UserError, match=r"train\.seed"):
        open_run_dir(make_config(f"train.run_dir={tmp_path}", "resume=auto", "train.seed=2"))
