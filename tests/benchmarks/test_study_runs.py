"""The entropy study's pool of jobs: each is done once, and a failure ends the others."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.lib.study import job_pool
from benchmarks.lib.study.arms import ARMS, MATCHED, Inputs, study_runs, training
from benchmarks.lib.study.job_pool import Job, run_all
from benchmarks.lib.study.settings import keep_settings
from vlm_uec.config import load_config
from vlm_uec.errors import UserError


def _start(job: Job, device: int) -> subprocess.Popen[bytes]:
    """The job's script as a program of its own, in place of a launch."""
    told = f"{job.script}\nopen({str(job.log)!r}, 'a').write('{device} ')"
    return subprocess.Popen([sys.executable, "-c", told], start_new_session=True)


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_pool, "_start", _start)


def _job(folder: Path, name: str, script: str = "") -> Job:
    return Job(name, folder / f"{name}.done", folder / f"{name}.log", script, ())


def test_a_job_runs_once_on_a_place_of_its_own(tmp_path: Path) -> None:
    jobs = [_job(tmp_path, name, "import time; time.sleep(0.3)") for name in "abc"]
    jobs[1].done.touch()
    lines: list[str] = []
    run_all(jobs, 2, lines.append)
    assert sorted(lines) == ["a: done", "a: starts", "c: done", "c: starts"]
    places = {job.log.read_text(encoding="utf-8") for job in (jobs[0], jobs[2])}
    assert places == {"0 ", "1 "}
    run_all(jobs, 2, lines.append)
    assert len(lines) == 4


def test_a_job_that_fails_is_named_and_ends_the_others(tmp_path: Path) -> None:
    jobs = [
        _job(tmp_path, "bad", "raise SystemExit(3)"),
        _job(tmp_path, "long", "import time; time.sleep(60)"),
    ]
    begun = time.monotonic()
    with pytest.raises(RuntimeError, match=r"bad: exit code 3; see .*bad\.log"):
        run_all(jobs, 2, lambda line: None)
    assert time.monotonic() - begun < 30
    assert not any(job.done.exists() for job in jobs)


def test_every_arm_is_a_config_that_differs_from_the_others(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path / "model", tmp_path / "data", 1000)
    jobs = [training(run, inputs) for run in study_runs(tmp_path, list(ARMS), [1])]
    configs = [load_config(job.arguments[1], job.arguments[2:]) for job in jobs]
    assert len({config.model_dump_json(exclude={"train"}) for config in configs}) == len(ARMS)
    assert {config.train.max_response_tokens for config in configs} == {1000}
    assert len({job.done for job in jobs}) == len(ARMS)
    assert set(MATCHED) | set(MATCHED.values()) <= set(ARMS)


def test_a_folder_belongs_to_one_studys_settings(tmp_path: Path) -> None:
    path = tmp_path / "study" / "settings.json"
    for _ in range(2):
        keep_settings(path, ["optim.lr=1e-4"])
    with pytest.raises(UserError, match="a study of other settings; give --out"):
        keep_settings(path, ["optim.lr=3e-4"])
