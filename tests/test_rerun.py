"""On CPU in fp32 a rerun is the first run bit for bit. (That a resumed one is, too: `test_hardships`.)"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.launch import model_copy, synthetic_data, synthetic_run, told, train, workspace
from vlm_uec.data.dataset import data_fingerprint, load_problems
from vlm_uec.fingerprint import model_fingerprint

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def first() -> Path:
    return synthetic_run()


@pytest.fixture(scope="module")
def rerun(first: Path) -> Path:
    options = ("train.eval_every=4", "evaluation.n=2", "evaluation.temperature=0.5")
    return train(workspace() / "rerun", synthetic_data(), "train.steps=4", *options)


def test_every_number_is_equal(first: Path, rerun: Path) -> None:
    assert [row["step"] for row in told(rerun)] == [1, 2, 3, 4]
    assert told(rerun) == told(first)


def test_every_sampled_response_is_equal(first: Path, rerun: Path) -> None:
    for step in range(1, 5):
        name = f"samples/step_{step:06d}.jsonl"
        assert (rerun / name).read_bytes() == (first / name).read_bytes()


def test_the_exported_weights_are_equal_to_the_last_bit(first: Path, rerun: Path) -> None:
    name = "export/model.safetensors"
    assert (rerun / name).read_bytes() == (first / name).read_bytes()


def test_both_buffers_are_equal_to_the_last_bit(first: Path, rerun: Path) -> None:
    last = "checkpoints/step_000004"
    names = [f"{name}.{kind}" for name in ("pending", "replay") for kind in ("safetensors", "json")]
    for name in (*names, "replay-scores.safetensors"):
        assert (rerun / last / name).read_bytes() == (first / last / name).read_bytes()


def test_a_checkpoint_belongs_to_its_problems_and_model(first: Path) -> None:
    record = json.loads((first / "checkpoints/step_000004/state.json").read_text(encoding="utf-8"))
    problems = load_problems(str(synthetic_data()), "train").problems
    assert record["data"] == data_fingerprint(problems)
    assert record["model"] == model_fingerprint(str(model_copy()), None, "model.path")
    assert (record["step"], record["world_size"], record["finished"]) == (4, 2, True)
