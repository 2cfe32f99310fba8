"""A run on two ranks, one of which has a NaN and then runs out of memory; and the run that resumes it.

`tests/support/plugins/failing_rank.py` causes both in a forward pass of the real policy.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.launch import metrics, synthetic_data, workspace
from tests.support.rank_processes import RankProcesses

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

OPTIONS = (
    "train.steps=4",
    "optim.microbatch_tokens=256",
    "reward.function=tests/support/plugins/failing_rank.py:reward",
    "resume=auto",
)


@pytest.fixture(scope="module")
def run_dir() -> Path:
    return workspace() / "failing"


@pytest.fixture(scope="module")
def failed(run_dir: Path) -> str:
    """The output of the failing run."""
    with RankProcesses(
        run_dir, synthetic_data(), *OPTIONS, environment={"FAIL_RANK_1": "nan memory"}
    ) as ranks:
        assert ranks.exit_codes(within=120) == [1, 1], ranks.output
        return ranks.output


@pytest.fixture(scope="module")
def resumed(run_dir: Path, failed: str) -> str:
    """The output of the resumed run."""
    with RankProcesses(run_dir, synthetic_data(), *OPTIONS, environment={}) as ranks:
        assert ranks.exit_codes(within=120) == [0, 0], ranks.output
        return ranks.output


def test_a_skipped_update_names_the_problems_of_the_nonfinite_pass(failed: str) -> None:
    line = re.search(r"step \d: an update was skipped because .* \(1 in a row\); its problems: (.+)", failed)
    assert line, failed
    known = {json.loads(row)["problem_id"] for row in _samples()}
    assert set(line[1].split(", ")) <= known
    assert len(line[1].split(", ")) <= 2  # of one pass, not of the whole mini-batch of all ranks


def _samples() -> list[str]:
    files = sorted((workspace() / "failing" / "samples").glob("*.jsonl"))
    return [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def test_out_of_memory_on_one_rank_ends_both_and_names_the_new_budget(failed: str) -> None:
    """The other rank waits in a collective of the pass that the first will never enter."""
    reason = "out of memory (CUDA out of memory): resume=auto continues with micro-batches of 128 positions"
    assert f"error: rank 1 is {reason}" in failed
    assert re.search(
        r"error: rank 0 ends in step \d: .*: rank 1 failed in step \d: .* is " + re.escape(reason), failed
    )


def test_the_resumed_run_has_half_the_budget(resumed: str, run_dir: Path) -> None:
    assert "micro-batches have 128 positions: more did not fit" in resumed
    assert json.loads((run_dir / "microbatch_tokens.json").read_text(encoding="utf-8"))["positions"] == 128


def test_every_retained_trajectory_was_trained_on_skipped_or_is_pending(resumed: str, run_dir: Path) -> None:
    rows = metrics(run_dir)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    retained = sum(row["uec/retained_regular"] + row["uec/retained_exploration"] for row in rows)
    trained = sum(row.get("update/trajectories", 0) for row in rows)
    skipped = sum(row.get("update/skipped_trajectories", 0) for row in rows)
    assert retained == trained + skipped + rows[-1]["uec/pending"]
    assert skipped > 0
