"""The examples: the data loads, the reward follows its rule, and the runs train."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from benchmarks.lib.launching import ROOT
from examples.own_data import main as write_data
from examples.reward import FREE_CHARACTERS, reward
from tests.support.launch import execute
from vlm_uec.data.dataset import load_problems
from vlm_uec.types import Problem

CORRECT = "\\boxed{5}"


def _problem() -> Problem:
    return Problem(id="a", question="2 + 3?", answer="5")


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (CORRECT, 1.0),
        ("\\boxed{6}", 0.0),
        ("no answer", 0.0),
        (CORRECT.rjust(FREE_CHARACTERS), 1.0),
        (CORRECT.rjust(FREE_CHARACTERS * 3 // 2), 0.9),
        (CORRECT.rjust(FREE_CHARACTERS * 2), 0.8),
        (CORRECT.rjust(FREE_CHARACTERS * 9), 0.8),
        ("\\boxed{6}".rjust(FREE_CHARACTERS * 9), 0.0),
    ],
)
def test_the_reward_is_the_verdict_minus_a_penalty_for_length(response: str, expected: float) -> None:
    assert reward(response, _problem()) == pytest.approx(expected)


def test_the_data_set_has_two_splits_with_correct_answers(tmp_path: Path) -> None:
    write_data(tmp_path)
    train, validation = (load_problems(str(tmp_path), split).problems for split in ("train", "validation"))
    assert [problem.answer for problem in train] == ["5", "7", "9", "11", "13", "15"]
    assert [problem.answer for problem in validation] == ["17", "19", "21"]
    assert all(len(problem.images) == 2 for problem in [*train, *validation])


@pytest.mark.end_to_end
@pytest.mark.slow
def test_custom_data_and_reward_train(tmp_path: Path) -> None:
    rows = _train(tmp_path, "train.py", "reward.function=examples/reward.py:reward")
    assert [row["step"] for row in rows] == [1, 2]
    assert (tmp_path / "run" / "export" / "config.json").is_file()


@pytest.mark.end_to_end
@pytest.mark.slow
def test_a_custom_objective_trains(tmp_path: Path) -> None:
    """The config accepts the name only because the example registers the objective."""
    # A reward by a hash gives an untrained model mixed groups, so that every step has an update.
    mixed = "reward.function=tests/support/plugins/mixed_reward.py:reward"
    rows = _train(
        tmp_path, "examples/own_objective.py", "algorithm=reinforce", mixed, "rollout.temperature=2.0"
    )
    assert any("loss/policy" in row for row in rows)
    config = (tmp_path / "run" / "config.yaml").read_text(encoding="utf-8")
    assert re.search(r"^algorithm: reinforce$", config, re.MULTILINE)


def _train(folder: Path, script: str, *settings: str) -> list[dict[str, float]]:
    """The rows of metrics.jsonl of a run on the example's data."""
    write_data(folder / "data")
    paths = (f"data.path={folder}/data", f"train.run_dir={folder}/run")
    command = [sys.executable, script, "--config", "examples/own_data.yaml", *paths, *settings]
    done = execute(command)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    lines = (folder / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_the_readme_lists_every_example() -> None:
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    names = {path.name for path in (ROOT / "examples").iterdir() if path.suffix in (".py", ".sh", ".yaml")}
    assert {name for name in names if f"`{name}`" not in page} == set()
