"""One run through everything that clusters do to it, and its numbers are those of a run left in peace.

On a CPU in fp32 they are equal to the last bit, so this is the test of reruns, too. Each stage takes up where
the one before it ended. The launcher and the ranks are real processes, signals go to real process groups.
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
from tests.support.launch import model_copy, start, synthetic_data, synthetic_run, told, workspace
from tests.support.rank_processes import Ranks
from vlm_uec.checkpoint.manifest import read_manifest, verify_files
from vlm_uec.data.dataset import data_fingerprint, load_problems
from vlm_uec.hub import model_fingerprint

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

OPTIONS = (
    "train.steps=4",
    "train.eval_every=4",
    "evaluation.n=2",
    "evaluation.temperature=0.5",
    "train.keep=9",
    "resume=auto",
)


def _lines(run_dir: Path) -> int:
    path = run_dir / "metrics.jsonl"
    return path.read_text(encoding="utf-8").count("\n") if path.exists() else 0


def _whole_checkpoint(run_dir: Path) -> int:
    """The step of the checkpoint that a resume will take; it must be whole."""
    name = (run_dir / "checkpoints" / "latest").read_text(encoding="utf-8").strip()
    verify_files(run_dir / "checkpoints" / name, read_manifest(run_dir / "checkpoints" / name))
    return int(name.removeprefix("step_"))


@pytest.fixture(scope="module")
def whole() -> Path:
    return synthetic_run()


@pytest.fixture(scope="module")
def run_dir(whole: Path) -> Path:
    return workspace() / "hardships"


def test_a_signal_to_the_launchers_whole_group_leaves_a_checkpoint(run_dir: Path) -> None:
    launcher = str(Path(sys.executable).parent / "deepspeed")
    paths = (f"model.path={model_copy()}", f"data.path={synthetic_data()}", f"train.run_dir={run_dir}")
    command = [launcher, "--num_accelerators", "2", "--master_port", str(free_port()), "train.py"]
    process = start([*command, "--config", "configs/tiny_cpu.yaml", *SHORT, *paths, *OPTIONS])
    deadline = time.monotonic() + 120
    while _lines(run_dir) < 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    ranks = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGTERM)
    _, alive = psutil.wait_procs(ranks, timeout=60)
    out, errors = process.communicate(timeout=60)
    assert not alive, errors
    assert "SIGTERM: stopped after step" in out, out + errors
    assert "Traceback" not in out + errors
    assert _whole_checkpoint(run_dir) in (1, 2)


def test_ranks_stop_together_with_the_codes_of_the_signal(run_dir: Path) -> None:
    """In the rollout of a step, which is abandoned; a group's signal arrives twice."""
    before = _whole_checkpoint(run_dir)
    with Ranks(run_dir, synthetic_data(), *OPTIONS) as ranks:
        ranks.when(ranks.said("resumed from"))
        ranks.send_all(signal.SIGINT)
        time.sleep(0.3)
        ranks.send_all(signal.SIGINT)
        assert ranks.codes(within=60) == [130, 130], ranks.output
        assert "SIGINT: stopped after step" in ranks.output
        assert "Traceback" not in ranks.output
    assert before <= _whole_checkpoint(run_dir) <= before + 1


def test_a_killed_rank_is_named_by_the_other_which_ends(run_dir: Path) -> None:
    with Ranks(run_dir, synthetic_data(), *OPTIONS) as ranks:
        ranks.when(ranks.said("resumed from"))
        time.sleep(0.4)
        ranks.processes[1].kill()
        assert ranks.codes(0, within=15) == [1]
        assert "rank 0 ends in step" in ranks.output
        assert "rank 1 died (killed, or out of memory?) in step" in ranks.output
    _whole_checkpoint(run_dir)


def test_a_stopped_rank_is_named_by_the_other_which_ends(run_dir: Path) -> None:
    """Rank 0, which keeps the store that the others speak through."""
    with Ranks(run_dir, synthetic_data(), *OPTIONS, "guard.rank_timeout=4") as ranks:
        ranks.when(ranks.said("resumed from"))
        ranks.processes[0].send_signal(signal.SIGSTOP)
        assert ranks.codes(1, within=20) == [1]
        assert "no heartbeat from rank 0 for 4 s (guard.rank_timeout); its last phase was" in ranks.output
    _whole_checkpoint(run_dir)


def test_the_run_ends_with_the_numbers_of_one_left_in_peace(run_dir: Path, whole: Path) -> None:
    with Ranks(run_dir, synthetic_data(), *OPTIONS) as ranks:
        assert ranks.codes() == [0, 0], ranks.output
    assert told(run_dir) == told(whole)
    for step in range(1, 5):
        name = f"samples/step_{step:06d}.jsonl"
        assert (run_dir / name).read_bytes() == (whole / name).read_bytes()
    names = [f"{name}.{kind}" for name in ("pending", "replay") for kind in ("safetensors", "json")]
    for name in (*names, "replay-scores.safetensors"):
        last = f"checkpoints/step_000004/{name}"
        assert (run_dir / last).read_bytes() == (whole / last).read_bytes()
    name = "export/model.safetensors"
    assert (run_dir / name).read_bytes() == (whole / name).read_bytes()


def test_two_ranks_to_one_and_back(whole: Path) -> None:
    """From the second step of the run above: its third step is one rank's, its fourth two ranks' again."""
    run_dir = Path(shutil.copytree(whole, workspace() / "reshaped", ignore=shutil.ignore_patterns("export")))
    second = run_dir / "checkpoints" / "step_000002"
    with Ranks(run_dir, synthetic_data(), *OPTIONS, "train.steps=3", f"resume={second}", ranks=1) as one:
        assert one.codes() == [0], one.output
        assert "checkpoint written by 2 rank(s), resuming on 1" in one.output
    with Ranks(run_dir, synthetic_data(), *OPTIONS) as two:
        assert two.codes() == [0, 0], two.output
        assert "checkpoint written by 1 rank(s), resuming on 2" in two.output
    rows = told(run_dir)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert rows[:2] == told(whole)[:2]
    # The same weights, prompts and random numbers, up to rounding: nearly every token falls the same way.
    assert rows[2]["entropy/exact"] == pytest.approx(told(whole)[2]["entropy/exact"], rel=0.2)
    retained = sum(row["uec/retained_regular"] + row["uec/retained_exploration"] for row in rows)
    trained = sum(row.get("update/trajectories", 0) for row in rows)
    assert retained == trained + rows[-1]["uec/pending"]
    assert [path.name for path in (run_dir / "checkpoints").glob(".writing*")] == []


def test_there_was_something_to_lose(whole: Path) -> None:
    """Else the test above would pass with buffers that are lost."""
    for name in ("pending", "replay"):
        assert json.loads((whole / "checkpoints/step_000002" / f"{name}.json").read_text(encoding="utf-8"))


def test_a_checkpoint_belongs_to_its_problems_and_model(whole: Path) -> None:
    record = json.loads((whole / "checkpoints/step_000004/state.json").read_text(encoding="utf-8"))
    problems = load_problems(str(synthetic_data()), "train").problems
    assert record["data"] == data_fingerprint(problems)
    assert record["model"] == model_fingerprint(str(model_copy()), None, "model.path")
    assert (record["step"], record["world_size"], record["finished"]) == (4, 2, True)
