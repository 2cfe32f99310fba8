"""The evaluator in subprocesses: killed and resumed, on two ranks, and scored again."""

from __future__ import annotations

import json
import random
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from data_prep.__main__ import main as data_prep
from tests.support.launch import GEOMETRY3K, execute, geometry3k_data, launch, model_copy, start, workspace

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

N, KILLS = 16, 3
SAMPLING = (
    "--n",
    str(N),
    "--k",
    "1",
    "4",
    "16",
    "--max-tokens",
    "64",
    "--max-pixels",
    "50176",
    "--slots",
    "8",
)
RESULTS = ("samples.jsonl", "summary.json", "index.html", "pass_at_k.svg", "response_tokens.svg")


@pytest.fixture(scope="module")
def data() -> Path:
    """Geometry3K if it is available, otherwise synthetic diagrams."""
    if GEOMETRY3K.is_dir():
        return geometry3k_data()
    out = workspace() / "synthetic_test"
    assert (
        data_prep(["synthetic", "--out", str(out), "--train", "1", "--validation", "1", "--test", "24"]) == 0
    )
    return out


@pytest.fixture(scope="module")
def uninterrupted(data: Path) -> Path:
    out = workspace() / f"passk_{data.name}"
    done = execute(_command(data, out))
    assert done.returncode == 0, done.stderr
    return out


def _command(data: Path, out: Path, *options: str) -> list[str]:
    paths = ["--model", str(model_copy()), "--data", str(data), "--out", str(out)]
    return [sys.executable, "eval/passk.py", *paths, *SAMPLING, *options]


def _stored_responses(out: Path) -> int:
    parts = [part.read_bytes().count(b"\n") for part in (out / "partial").glob("*.jsonl")]
    return sum(parts)


def _kill_after(command: Sequence[str], out: Path, responses: int) -> None:
    """Sends SIGKILL when the folder has this many responses."""
    process = start(command)
    while process.poll() is None and _stored_responses(out) < responses:
        time.sleep(0.002)
    assert process.poll() is None, process.communicate()[1]
    process.send_signal(signal.SIGKILL)
    process.communicate()


def _keys(out: Path) -> list[tuple[str, int]]:
    rows = [json.loads(line) for line in (out / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(row["problem_id"], row["index"]) for row in rows]


def test_killed_three_times_and_resumed_it_has_the_results_of_an_uninterrupted_evaluation(
    data: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    total = len(_keys(uninterrupted))
    moments = sorted(random.Random(data.name).sample(range(1, total * 3 // 4), KILLS))
    stored = 0
    for moment in moments:
        _kill_after(_command(data, out, "--resume"), out, max(moment, stored + 1))
        assert not (out / "samples.jsonl").exists()
        assert _stored_responses(out) > stored
        stored = _stored_responses(out)
    done = execute(_command(data, out, "--resume"))
    assert done.returncode == 0, done.stderr
    assert f"found {stored} of {total} responses" in done.stdout
    for name in ("samples.jsonl", "summary.json"):
        assert (out / name).read_bytes() == (uninterrupted / name).read_bytes()
    assert not (out / "partial").exists()


def test_two_ranks_draw_the_same_samples(data: Path, uninterrupted: Path, tmp_path: Path) -> None:
    """With --samples, since the launcher takes --n for its own option."""
    command = _command(data, tmp_path / "out")[2:]
    command[command.index("--n")] = "--samples"
    launch("eval/passk.py", *command)
    assert _keys(tmp_path / "out") == _keys(uninterrupted)
    for name in ("samples.jsonl", "summary.json"):
        assert (tmp_path / "out" / name).read_bytes() == (uninterrupted / name).read_bytes()


def test_files_and_summary_of_a_finished_evaluation(data: Path, uninterrupted: Path) -> None:
    assert sorted(path.name for path in uninterrupted.iterdir()) == sorted([*RESULTS, "evaluation.json"])
    summary = json.loads((uninterrupted / "summary.json").read_text(encoding="utf-8"))
    keys = _keys(uninterrupted)
    assert summary["samples"] == len(keys) == len(set(keys)) == summary["problems"] * N
    assert set(summary["scores"]["verify"]) == {
        "pass@1", "pass@4", "pass@16", "maj@4", "maj@16", "mean@16", "unextracted",
    }  # fmt: skip
    assert summary["settings"]["max_pixels"] == 50176
    assert "{{ question }}" in summary["settings"]["template"]
    assert len(summary["model"]["fingerprint"]) == len(summary["data"]["fingerprint"]) == 64
    assert {"torch", "transformers", "device"} <= set(summary["versions"])


def test_a_finished_evaluation_is_scored_again_without_the_model(
    data: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    """With another k and without sampling; the responses stay."""
    out = Path(shutil.copytree(uninterrupted, tmp_path / "out"))
    done = execute(_command(data, out, "--resume", "--k", "2"))
    assert done.returncode == 0, done.stderr
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert "pass@2" in summary["scores"]["verify"]
    assert "responses in" not in done.stdout
    assert (out / "samples.jsonl").read_bytes() == (uninterrupted / "samples.jsonl").read_bytes()
