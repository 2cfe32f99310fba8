"""A run that is interrupted in every way a cluster may do it has the results of an uninterrupted run.

On a CPU in fp32 they are equal to the last bit, so reruns are tested as well. Each test resumes where the one
before it ended. The launcher and the ranks are real processes; signals go to real process groups.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.lib.launching import SHORT, free_port
from tests.support.launch import (
    SCHEDULE,
    model_copy,
    reproducible_metrics,
    start,
    synthetic_data,
    synthetic_run,
    workspace,
)
from tests.support.rank_processes import RankProcesses
from vlm_uec.checkpoint.manifest import read_manifest, verify_files
from vlm_uec.data.dataset import data_fingerprint, load_problems
from vlm_uec.hub import model_fingerprint

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

OPTIONS = (
    "train.steps=4",
    *SCHEDULE,
    "train.eval_every=4",
    "evaluation.n=2",
    "evaluation.temperature=0.5",
    "train.keep=9",
    "resume=auto",
)


def _metric_lines(run_dir: Path) -> int:
    path = run_dir / "metrics.jsonl"
    return path.read_text(encoding="utf-8").count("\n") if path.exists() else 0


def _latest_step(run_dir: Path) -> int:
    """The step of the checkpoint that a resume will load, after its files are verified."""
    name = (run_dir / "checkpoints" / "latest").read_text(encoding="utf-8").strip()
    verify_files(run_dir / "checkpoints" / name, read_manifest(run_dir / "checkpoints" / name))
    return int(name.removeprefix("step_"))


@pytest.fixture(scope="module")
def uninterrupted() -> Path:
    return synthetic_run()


@pytest.fixture(scope="module")
def run_dir(uninterrupted: Path) -> Path:
    return workspace() / "interrupted"


def test_a_signal_to_the_launchers_process_group_leaves_a_checkpoint(run_dir: Path) -> None:
    launcher = str(Path(sys.executable).parent / "deepspeed")
    paths = (f"model.path={model_copy()}", f"data.path={synthetic_data()}", f"train.run_dir={run_dir}")
    command = [launcher, "--num_accelerators", "2", "--master_port", str(free_port()), "train.py"]
    process = start([*command, "--config", "configs/tiny_cpu.yaml", *SHORT, *paths, *OPTIONS])
    deadline = time.monotonic() + 120
    while _metric_lines(run_dir) < 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    ranks = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGTERM)
    _, alive = psutil.wait_procs(ranks, timeout=60)
    out, errors = process.communicate(timeout=60)
    assert not alive, errors
    assert "SIGTERM: stopped after step" in out, out + errors
    assert "Traceback" not in out + errors
    assert _latest_step(run_dir) in (1, 2)


def test_ranks_stop_together_with_the_exit_code_of_the_signal(run_dir: Path) -> None:
    """During a rollout, which is abandoned; the signal arrives twice, as it does in a process group."""
    before = _latest_step(run_dir)
    with RankProcesses(run_dir, synthetic_data(), *OPTIONS) as ranks:
        ranks.wait_for_output("resumed from")
        ranks.send_all(signal.SIGINT)
        time.sleep(0.3)
        ranks.send_all(signal.SIGINT)
        assert ranks.exit_codes(within=60) == [130, 130], ranks.output
        assert "SIGINT: stopped after step" in ranks.output
        assert "Traceback" not in ranks.output
    assert before <= _latest_step(run_dir) <= before + 1


def test_after_a_rank_is_killed_the_other_names_it_and_ends(run_dir: Path) -> None:
    with RankProcesses(run_dir, synthetic_data(), *OPTIONS) as ranks:
        ranks.wait_for_output("resumed from")
        time.sleep(0.4)
        ranks.processes[1].kill()
        assert ranks.exit_codes(0, within=15) == [1]
        assert "rank 0 ends in step" in ranks.output
        assert "rank 1 died (killed, or out of memory?) in step" in ranks.output
    _latest_step(run_dir)


def test_after_a_rank_is_suspended_the_other_names_it_and_ends(run_dir: Path) -> None:
    """Rank 0, which hosts the store of the heartbeats."""
    with RankProcesses(run_dir, synthetic_data(), *OPTIONS, "guard.rank_timeout=4") as ranks:
        ranks.wait_for_output("resumed from")
        ranks.processes[0].send_signal(signal.SIGSTOP)
        assert ranks.exit_codes(1, within=20) == [1]
        assert "no heartbeat from rank 0 for 4 s (guard.rank_timeout); its last phase was" in ranks.output
    _latest_step(run_dir)


def test_the_run_ends_with_the_results_of_an_uninterrupted_run(run_dir: Path, uninterrupted: Path) -> None:
    with RankProcesses(run_dir, synthetic_data(), *OPTIONS) as ranks:
        assert ranks.exit_codes() == [0, 0], ranks.output
    assert reproducible_metrics(run_dir) == reproducible_metrics(uninterrupted)
    rates = [row["lr"] for row in reproducible_metrics(run_dir)]
    assert rates == pytest.approx([1.5e-4, 3e-4, 3e-4, 1.65e-4])
    for step in range(1, 5):
        name = f"samples/step_{step:06d}.jsonl"
        assert (run_dir / name).read_bytes() == (uninterrupted / name).read_bytes()
    names = [f"{name}.{kind}" for name in ("pending", "replay") for kind in ("safetensors", "json")]
    for name in (*names, "replay-scores.safetensors"):
        last = f"checkpoints/step_000004/{name}"
        assert (run_dir / last).read_bytes() == (uninterrupted / last).read_bytes()
    name = "export/model.safetensors"
    assert (run_dir / name).read_bytes() == (uninterrupted / name).read_bytes()


def test_a_run_continues_on_one_rank_and_again_on_two(uninterrupted: Path) -> None:
    """From the second step of the uninterrupted run: one rank runs its third step, two ranks its fourth."""
    run_dir = Path(
        shutil.copytree(uninterrupted, workspace() / "reshaped", ignore=shutil.ignore_patterns("export"))
    )
    second = run_dir / "checkpoints" / "step_000002"
    with RankProcesses(
        run_dir, synthetic_data(), *OPTIONS, "train.steps=3", f"resume={second}", ranks=1
    ) as one:
        assert one.exit_codes() == [0], one.output
        assert "checkpoint written with world size 2, resuming with 1" in one.output
    with RankProcesses(run_dir, synthetic_data(), *OPTIONS) as two:
        assert two.exit_codes() == [0, 0], two.output
        assert "checkpoint written with world size 1, resuming with 2" in two.output
    rows = reproducible_metrics(run_dir)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert rows[:2] == reproducible_metrics(uninterrupted)[:2]
    # Weights, prompts and random numbers are equal up to rounding, so nearly every token is the same.
    assert rows[2]["entropy/exact"] == pytest.approx(
        reproducible_metrics(uninterrupted)[2]["entropy/exact"], rel=0.2
    )
    retained = sum(row["uec/retained_regular"] + row["uec/retained_exploration"] for row in rows)
    trained = sum(row.get("update/trajectories", 0) for row in rows)
    assert retained == trained + rows[-1]["uec/pending"]
    assert [path.name for path in (run_dir / "checkpoints").glob(".writing*")] == []


def test_the_buffers_were_not_empty(uninterrupted: Path) -> None:
    """Otherwise the test above would pass with lost buffers."""
    for name in ("pending", "replay"):
        assert json.loads(
            (uninterrupted / "checkpoints/step_000002" / f"{name}.json").read_text(encoding="utf-8")
        )


def test_a_checkpoint_records_the_fingerprints_of_its_data_and_model(uninterrupted: Path) -> None:
    record = json.loads((uninterrupted / "checkpoints/step_000004/state.json").read_text(encoding="utf-8"))
    problems = load_problems(str(synthetic_data()), "train").problems
    assert record["data"] == data_fingerprint(problems)
    assert record["model"] == model_fingerprint(str(model_copy()), None, "model.path")
    assert (record["step"], record["world_size"], record["finished"]) == (4, 2, True)
