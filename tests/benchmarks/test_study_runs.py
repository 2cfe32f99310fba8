"""The entropy study's jobs: each runs once, and a failure terminates the others."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.lib.study import job_pool
from benchmarks.lib.study.arms import ARMS, MATCHED, Inputs, study_runs, training
from benchmarks.lib.study.job_pool import Job, run_all
from benchmarks.lib.study.settings import record_settings
from vlm_uec.config import load_config
from vlm_uec.errors import UserError


def _start_program(job: Job, device: int) -> subprocess.Popen[bytes]:
    """Runs the job's script as a plain Python program instead of launching it."""
    program = f"{job.script}\nopen({str(job.log)!r}, 'a').write('{device} ')"
    return subprocess.Popen([sys.executable, "-c", program], start_new_session=True)


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_pool, "_start", _start_program)


def _job(folder: Path, name: str, script: str = "") -> Job:
    return Job(name, folder / f"{name}.done", folder / f"{name}.log", script, ())


def test_a_job_runs_once_on_its_own_device(tmp_path: Path) -> None:
    jobs = [_job(tmp_path, name, "import time; time.sleep(0.3)") for name in "abc"]
    jobs[1].done.touch()
    lines: list[str] = []
    run_all(jobs, 2, lines.append)
    assert sorted(lines) == ["a: done", "a: starts", "c: done", "c: starts"]
    devices = {job.log.read_text(encoding="utf-8") for job in (jobs[0], jobs[2])}
    assert devices == {"0 ", "1 "}
    run_all(jobs, 2, lines.append)
    assert len(lines) == 4


def test_a_failed_job_is_named_and_terminates_the_others(tmp_path: Path) -> None:
    jobs = [
        _job(tmp_path, "bad", "raise SystemExit(3)"),
        _job(tmp_path, "long", "import time; time.sleep(60)"),
    ]
    started = time.monotonic()
    with pytest.raises(RuntimeError, match=r"bad: exit code 3; see .*bad\.log"):
        run_all(jobs, 2, lambda line: None)
    assert time.monotonic() - started < 30
    assert not any(job.done.exists() for job in jobs)


def test_every_arm_has_a_different_config(tmp_path: Path) -> None:
    inputs = Inputs(tmp_path / "model", tmp_path / "data", 1000)
    jobs = [training(run, inputs) for run in study_runs(tmp_path, list(ARMS), [1])]
    configs = [load_config(job.arguments[1], job.arguments[2:]) for job in jobs]
    assert len({config.model_dump_json(exclude={"train"}) for config in configs}) == len(ARMS)
    assert {config.train.max_response_tokens for config in configs} == {1000}
    assert len({job.done for job in jobs}) == len(ARMS)
    assert set(MATCHED) | set(MATCHED.values()) <= set(ARMS)


def test_a_directory_holds_one_studys_settings(tmp_path: Path) -> None:
    path = tmp_path / "study" / "settings.json"
    for _ in range(2):
        record_settings(path, ["optim.lr=1e-4"])
    with pytest.raises(UserError, match="a study with other settings; choose another --out"):
        record_settings(path, ["optim.lr=3e-4"])
