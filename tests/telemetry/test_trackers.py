"""TensorBoard and Weights & Biases receive the scalars of metrics.jsonl; a wandb error is one line."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer

from tests.support.fakes import make_config
from vlm_uec.checkpoint.state import TrainState
from vlm_uec.cli import configure_logging
from vlm_uec.errors import UserError
from vlm_uec.forecast.preflight import preflight
from vlm_uec.run.recorder import Recorder
from vlm_uec.telemetry.trackers import TensorBoardTracker, check_trackers

PLUGINS = Path(__file__).parents[1] / "support" / "plugins"
VALUES = {"reward/accuracy": 0.5, "entropy/exact": 1.25, "loss/policy": None}


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.syspath_prepend(str(PLUGINS))
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    yield importlib.import_module("wandb")
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        del os.environ[name]


def recorder(
    run_dir: Path, state: TrainState | None = None, *trackers: str, resume: bool = False
) -> Recorder:
    configure_logging()
    run_dir.mkdir(exist_ok=True)
    config = make_config(f"train.run_dir={run_dir}", f"train.trackers=[{', '.join(trackers)}]")
    return Recorder(config, state or TrainState(), fresh=not resume)


def lines_of(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def test_every_tracker_has_the_names_and_values_of_the_metrics_file(tmp_path: Path, wandb: Any) -> None:
    run = recorder(tmp_path / "run", None, "tensorboard", "wandb")
    run.metrics(1, VALUES)
    run.metrics(2, {"step": 2.0, "eval/pass@1": 0.75})
    run.finish()
    written = [
        {name: value for name, value in row.items() if value is not None}
        for row in lines_of(tmp_path / "run")
    ]
    assert wandb.runs[0].logged == written and wandb.runs[0].finished
    assert wandb.runs[0].axes == {"*": "step"}
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [
        {
            "step": step,
            **{n: e.value for n in events.Tags()["scalars"] for e in events.Scalars(n) if e.step == step},
        }
        for step in (1, 2)
    ] == written


def test_wandb_gets_the_config_and_writes_to_the_run_directory(tmp_path: Path, wandb: Any) -> None:
    recorder(tmp_path / "run", None, "wandb")
    arguments = wandb.runs[0].arguments
    assert arguments["config"]["rollout"]["n"] == make_config().rollout.n
    assert arguments["dir"] == str(tmp_path / "run")
    assert wandb.runs[0].environment["WANDB_PROJECT"] == "vlm-uec"
    assert wandb.runs[0].environment["WANDB_NAME"] == "run"


def test_the_users_environment_variables_take_precedence(
    tmp_path: Path, wandb: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    recorder(tmp_path / "run", None, "wandb")
    assert wandb.runs[0].environment["WANDB_PROJECT"] == "mine"
    assert wandb.runs[0].environment["WANDB_MODE"] == "offline" and "mode" not in wandb.runs[0].arguments
    assert "wandb: offline" in capfd.readouterr().err


def test_a_resumed_run_continues_its_wandb_run_and_another_directory_starts_one(
    tmp_path: Path, wandb: Any
) -> None:
    recorder(tmp_path / "run", None, "wandb").metrics(1, VALUES)
    recorder(tmp_path / "run", TrainState(1, metrics={"step": 1}), "wandb", resume=True).metrics(2, VALUES)
    recorder(tmp_path / "other", None, "wandb")
    first, second, other = (run.arguments["id"] for run in wandb.runs)
    assert first == second != other
    assert all(run.arguments["resume"] == "allow" for run in wandb.runs)
    assert [row["step"] for run in wandb.runs for row in run.logged] == [1, 2]


def test_an_invalid_id_is_replaced(tmp_path: Path, wandb: Any) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "wandb_id").write_text("../../x\n")
    recorder(tmp_path / "run", None, "wandb")
    assert (tmp_path / "run" / "wandb_id").read_text().strip() == wandb.runs[0].arguments["id"] != "../../x"


@pytest.mark.parametrize(
    ("function", "message"), [("init", "cannot start"), ("log", "cannot log"), ("finish", "cannot finish")]
)
def test_an_error_of_wandb_is_logged_once_and_training_continues(
    tmp_path: Path, wandb: Any, capfd: pytest.CaptureFixture[str], function: str, message: str
) -> None:
    wandb.failing = function
    run = recorder(tmp_path / "run", None, "wandb")
    run.metrics(1, VALUES)
    run.metrics(2, VALUES)
    run.finish()
    assert [row["step"] for row in lines_of(tmp_path / "run")] == [1, 2]
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "continues without" in line]
    assert f"wandb: {message} (ConnectionError: {function}: no network \\x1b[31m)" in line


@pytest.mark.parametrize("leftover", [False, True])
def test_missing_wandb_is_an_error_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leftover: bool
) -> None:
    """wandb writes a folder `wandb`, which Python finds as a namespace package."""
    (tmp_path / "wandb").mkdir()
    others = [folder for folder in sys.path if not (Path(folder) / "wandb" / "__init__.py").is_file()]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *others] if leftover else others)
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    importlib.invalidate_caches()
    with pytest.raises(UserError, match="wandb, which is not installed"):
        preflight(make_config("train.trackers=[tensorboard, wandb]", f"train.run_dir={tmp_path / 'r'}"), 1)
    check_trackers(["tensorboard"])


def test_without_trackers_only_the_metrics_file_is_written(tmp_path: Path) -> None:
    recorder(tmp_path / "run").metrics(1, VALUES)
    assert lines_of(tmp_path / "run") and not (tmp_path / "run" / "tensorboard").exists()


def test_tensorboard_hides_steps_that_a_resumed_run_repeats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Files of the same second are numbered by a counter of the process and read in the order of names.
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))
    for resumed, steps, value in ((None, range(1, 6), 1.0), (3, range(4, 6), 2.0)):
        tracker = TensorBoardTracker(tmp_path, resumed)
        for step in steps:
            tracker.metrics(step, {"reward/accuracy": value})
        tracker.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    scalars = [(event.step, event.value) for event in events.Scalars("reward/accuracy")]
    assert scalars == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0), (5, 2.0)]
