"""A run on two ranks of which one meets a NaN, then too little memory; and what goes on from it.

`tests/support/plugins/failing_rank.py` does both, in a forward pass of the real policy.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.launch import metrics, synthetic_data, workspace
from tests.support.rank_processes import Ranks

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

OPTIONS = (
    "train.steps=4",
    "optim.microbatch_tokens=256",
    "reward.function=tests/support/plugins/failing_rank.py:reward",
    "resume=auto",
)


@pytest.fixture(scope="module")
def run_dir() -> Path:
    return workspace() / "hurt"


@pytest.fixture(scope="module")
def ended(run_dir: Path) -> str:
    """What the hurt run said."""
    with Ranks(run_dir, synthetic_data(), *OPTIONS, environment={"HURT_RANK": "nan memory"}) as ranks:
        assert ranks.codes(within=120) == [1, 1], ranks.output
        return ranks.output


@pytest.fixture(scope="module")
def resumed(run_dir: Path, ended: str) -> str:
    with Ranks(run_dir, synthetic_data(), *OPTIONS, environment={}) as ranks:
        assert ranks.codes(within=120) == [0, 0], ranks.output
        return ranks.output


def test_a_skipped_update_names_the_problems_of_the_bad_pass(ended: str) -> None:
    line = re.search(r"step \d: an update was skipped, .* \(1 in a row\); problems in it: (.+)", ended)
    assert line, ended
    known = {json.loads(row)["problem_id"] for row in _samples()}
    assert set(line[1].split(", ")) <= known
    assert len(line[1].split(", ")) <= 2  # of one pass, not of the whole mini-batch of all ranks


def _samples() -> list[str]:
    files = sorted((workspace() / "hurt" / "samples").glob("*.jsonl"))
    return [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def test_too_little_memory_on_one_rank_ends_both_with_the_way_out(ended: str) -> None:
    """The other one waits inside the pass, in a collective that nobody will join."""
    way_out = "out of memory (CUDA out of memory): resume=auto continues with micro-batches of 128 positions"
    assert f"error: rank 1 is {way_out}" in ended
    assert re.search(
        r"error: rank 0 ends in step \d: .*: rank 1 failed in step \d: .* is " + re.escape(way_out), ended
    )


def test_the_run_that_goes_on_has_half_the_budget(resumed: str, run_dir: Path) -> None:
    assert "micro-batches have 128 positions: more did not fit" in resumed
    assert json.loads((run_dir / "microbatch_tokens.json").read_text(encoding="utf-8"))["positions"] == 128


def test_every_trajectory_retained_was_trained_on_or_skipped_or_waits(resumed: str, run_dir: Path) -> None:
    rows = metrics(run_dir)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    retained = sum(row["uec/retained_regular"] + row["uec/retained_exploration"] for row in rows)
    trained = sum(row.get("update/trajectories", 0) for row in rows)
    skipped = sum(row.get("update/skipped_trajectories", 0) for row in rows)
    assert retained == trained + skipped + rows[-1]["uec/pending"]
    assert skipped > 0
