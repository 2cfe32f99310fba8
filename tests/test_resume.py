"""On CPU in fp32 a rerun, and a run stopped and resumed, are the uninterrupted run bit for bit.

Three launches serve all tests: the synthetic run of `test_end_to_end`, the same again, and a copy of the
first cut back to one of its checkpoints and resumed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.launch import metrics, synthetic_data, synthetic_run, train, workspace
from vlm_uec.data.dataset import data_fingerprint, load_problems

pytestmark = pytest.mark.end_to_end

# The clock's, and the allocator's high-water mark.
MEASURED = ("time/", "tokens_per_second", "memory/")
STEPS = 4


def _told(run_dir: Path) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if not name.startswith(MEASURED)}
        for row in metrics(run_dir)
    ]


def _buffer(checkpoint: Path, name: str) -> list[Any]:
    return list(json.loads((checkpoint / f"{name}.json").read_text(encoding="utf-8")))


def _steps_with_both_buffers(run_dir: Path) -> list[int]:
    checkpoints = {step: run_dir / "checkpoints" / f"step_{step:06d}" for step in range(1, STEPS)}
    return [
        step for step, path in checkpoints.items() if _buffer(path, "pending") and _buffer(path, "replay")
    ]


@pytest.fixture(scope="module")
def whole() -> Path:
    return synthetic_run()


@pytest.fixture(scope="module")
def rerun(whole: Path) -> Path:
    return train(
        workspace() / "rerun",
        synthetic_data(),
        "train.steps=4",
        "train.eval_every=4",
        "evaluation.n=2",
        "evaluation.temperature=0.5",
    )


@pytest.fixture(scope="module")
def stop(whole: Path) -> int:
    """A step after which a trajectory waits in the queue and one in the replay buffer."""
    steps = _steps_with_both_buffers(whole)
    assert steps, "no checkpoint holds something in both buffers: choose another train.seed"
    return steps[0]


@pytest.fixture(scope="module")
def resumed(whole: Path, stop: int) -> Path:
    """As if the machine had died after step `stop` was saved, with later lines already written."""
    run_dir = Path(shutil.copytree(whole, workspace() / "resumed"))
    for step in range(stop + 1, STEPS + 1):
        shutil.rmtree(run_dir / "checkpoints" / f"step_{step:06d}")
        (run_dir / "samples" / f"step_{step:06d}.jsonl").write_text("stale", encoding="utf-8")
    (run_dir / "checkpoints" / "latest").write_text(f"step_{stop:06d}\n", encoding="utf-8")
    rows = [row if row["step"] <= stop else {**row, "reward/accuracy": 99.0} for row in metrics(run_dir)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (run_dir / "metrics.jsonl").write_text(text + '{"step": 5, "torn', encoding="utf-8")
    shutil.rmtree(run_dir / "export")
    options = (
        "train.steps=4",
        "train.eval_every=4",
        "evaluation.n=2",
        "evaluation.temperature=0.5",
        "train.keep=9",
        "resume=auto",
    )
    return train(run_dir, synthetic_data(), *options)


@pytest.fixture(scope="module", params=["rerun", "resumed"])
def again(request: pytest.FixtureRequest) -> Path:
    return Path(request.getfixturevalue(request.param))


def test_every_number_is_equal(whole: Path, again: Path) -> None:
    told = _told(again)
    assert [row["step"] for row in told] == [1, 2, 3, 4]
    assert told == _told(whole)


def test_every_sampled_response_is_equal(whole: Path, again: Path) -> None:
    for step in range(1, STEPS + 1):
        name = f"samples/step_{step:06d}.jsonl"
        assert (again / name).read_bytes() == (whole / name).read_bytes()


def test_the_exported_weights_are_equal_to_the_last_bit(whole: Path, again: Path) -> None:
    name = "export/model.safetensors"
    assert (again / name).read_bytes() == (whole / name).read_bytes()


def test_both_buffers_are_equal_to_the_last_bit(whole: Path, again: Path) -> None:
    last = "checkpoints/step_000004"
    for name in ("pending", "replay", "replay-scores"):
        assert (again / last / f"{name}.safetensors").read_bytes() == (
            whole / last / f"{name}.safetensors"
        ).read_bytes()
    for name in ("pending", "replay"):
        assert _buffer(again / last, name) == _buffer(whole / last, name)


def test_the_run_resumed_trained_on_what_had_waited(whole: Path, stop: int) -> None:
    """Else the tests above would pass with buffers that are lost."""
    after = [row for row in metrics(whole) if row["step"] > stop]
    assert any("update/trajectories" in row for row in after)
    assert any("replay/trajectories" in row for row in after)


def test_a_checkpoint_belongs_to_its_problems(whole: Path) -> None:
    record = json.loads((whole / "checkpoints/step_000004/state.json").read_text(encoding="utf-8"))
    problems = load_problems(str(synthetic_data()), "train").problems
    assert record == {"step": 4, "world_size": 2, "data": data_fingerprint(problems)}
