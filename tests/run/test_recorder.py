"""metrics.jsonl continues without gaps or repeated lines, wherever the run was interrupted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.fakes import make_config
from vlm_uec.checkpoint.state import TrainState
from vlm_uec.errors import UserError
from vlm_uec.run.recorder import Recorder

LINE = {"step": 3, "grad_norm": 0.5}


def _recorder(run_dir: Path, state: TrainState) -> Recorder:
    run_dir.mkdir(exist_ok=True)
    return Recorder(make_config(f"train.run_dir={run_dir}"), state, fresh=False)


def _write(run_dir: Path, *rows: dict[str, Any], torn: str = "") -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (run_dir / "metrics.jsonl").write_text(text + torn, encoding="utf-8")
    (run_dir / "samples").mkdir()
    for row in rows:
        (run_dir / "samples" / f"step_{row['step']:06d}.jsonl").touch()


def _steps(run_dir: Path) -> list[int]:
    lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["step"] for line in lines]


def _samples(run_dir: Path) -> list[str]:
    return sorted(path.name for path in (run_dir / "samples").iterdir())


def test_lines_after_the_checkpoint_are_cut(tmp_path: Path) -> None:
    _write(tmp_path, {"step": 1}, {"step": 2}, {"step": 3}, torn='{"step": 4, "lo')
    _recorder(tmp_path, TrainState(2, metrics={"step": 2}))
    assert _steps(tmp_path) == [1, 2]
    assert _samples(tmp_path) == ["step_000001.jsonl", "step_000002.jsonl"]


def test_a_missing_line_is_restored_from_the_checkpoint(tmp_path: Path) -> None:
    _write(tmp_path, {"step": 1}, {"step": 2})
    _recorder(tmp_path, TrainState(3, metrics=LINE))
    assert _steps(tmp_path) == [1, 2, 3]
    last = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    assert json.loads(last) == LINE


def test_a_run_that_starts_again_loses_the_starting_model_s_line(tmp_path: Path) -> None:
    """It measures the model again: a changed setting may give another result."""
    _write(tmp_path, {"step": 0}, {"step": 1})
    _recorder(tmp_path, TrainState())
    assert _steps(tmp_path) == []


def test_a_resumed_run_keeps_the_starting_model_s_line(tmp_path: Path) -> None:
    _write(tmp_path, {"step": 0}, {"step": 1}, {"step": 2})
    _recorder(tmp_path, TrainState(1, metrics={"step": 1}))
    assert _steps(tmp_path) == [0, 1]


def test_a_step_stopped_before_its_validation_has_samples_and_no_line(tmp_path: Path) -> None:
    _write(tmp_path, {"step": 1}, {"step": 2}, {"step": 3})
    recorder = _recorder(tmp_path, TrainState(3, metrics=LINE, finished=False))
    assert _steps(tmp_path) == [1, 2]
    assert _samples(tmp_path)[-1] == "step_000003.jsonl"
    recorder.metrics(3, LINE)
    assert _steps(tmp_path) == [1, 2, 3]


def test_damaged_lines_after_the_checkpoint_are_cut(tmp_path: Path) -> None:
    """After a power failure there are zeros and incomplete lines; only lines that are kept must be valid."""
    _write(tmp_path, {"step": 1}, {"step": 2}, torn='\0\0\0\n[]\n{"loss": 1}\n{"step": 3}\n')
    (tmp_path / "samples" / "step_000009.orig.jsonl").touch()
    _recorder(tmp_path, TrainState(2, metrics={"step": 2}))
    assert _steps(tmp_path) == [1, 2]


def test_a_damaged_line_before_the_checkpoint_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n\0\n{"step": 3}\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"metrics\.jsonl, line 2"):
        _recorder(tmp_path, TrainState(3, metrics={"step": 3}))


def test_without_a_checkpoint_the_metrics_start_again(tmp_path: Path) -> None:
    _write(tmp_path, {"step": 1}, {"step": 2}, torn="\0\n")
    _recorder(tmp_path, TrainState())
    assert _steps(tmp_path) == []


def test_alarms_use_the_earlier_lines(tmp_path: Path) -> None:
    """Windows of ten: the first are at 1, the last at 0.1; including the restored line."""
    entropies = [1.0] * 10 + [0.1] * 8
    rows = [{"step": step, "entropy/exact": value} for step, value in enumerate(entropies, start=1)]
    _write(tmp_path, *rows)
    recorder = _recorder(tmp_path, TrainState(19, metrics={"step": 19, "entropy/exact": 0.1}))
    messages: list[str] = []
    assert recorder.alarms({"entropy/exact": 0.1}, messages.append)["alarm/entropy_collapse"] == 1.0
    assert messages[0].startswith("ALARM: entropy collapse: 0.10")


def test_a_deleted_run_directory_ends_the_run_with_one_line(tmp_path: Path) -> None:
    """Lines written to the open file would be lost."""
    run_dir = tmp_path / "run"
    recorder = _recorder(run_dir, TrainState())
    recorder.metrics(1, LINE)
    shutil.rmtree(run_dir)
    with pytest.raises(UserError, match=r"train\.run_dir .*run: was deleted or moved"):
        recorder.metrics(2, LINE)
    assert not run_dir.exists()


def test_a_deleted_metrics_file_is_an_error(tmp_path: Path) -> None:
    recorder = _recorder(tmp_path, TrainState())
    (tmp_path / "metrics.jsonl").unlink()
    with pytest.raises(UserError, match=r"cannot be written \(No such file"):
        recorder.metrics(1, LINE)


def test_a_run_without_a_right_response_has_a_warning(tmp_path: Path) -> None:
    recorder = _recorder(tmp_path, TrainState())
    recorder.metrics(1, {"reward/accuracy": 0.0})
    assert (recorder.warning() or "").startswith("no response was right in 1 step")
    recorder.metrics(2, {"reward/accuracy": 0.5, "update/optimizer_steps": 1})
    assert recorder.warning() is None
