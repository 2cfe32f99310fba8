"""Every algorithm of the family trains: one launch of two ZeRO-3 ranks runs them all."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.support.launch import metrics
from tests.support.variants import ALGORITHMS, variants
from vlm_uec.config import load_config

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


@pytest.fixture(scope="module")
def runs() -> Path:
    return variants()


@each_algorithm
def test_it_updates_and_every_number_is_finite(runs: Path, algorithm: str) -> None:
    rows = metrics(runs / algorithm)
    assert [row["step"] for row in rows] == [1, 2]
    for row in rows:
        assert all(isinstance(value, int | float) and math.isfinite(value) for value in row.values()), row
    assert sum(row.get("update/optimizer_steps", 0) for row in rows) > 0
    assert max(row.get("grad_norm", 0) for row in rows) > 0


@each_algorithm
def test_it_is_the_algorithm_it_says(runs: Path, algorithm: str) -> None:
    assert load_config(runs / algorithm / "config.yaml").algorithm == algorithm
    rows = metrics(runs / algorithm)
    uec = "uec" in algorithm
    assert any(row["uec/explored_responses"] for row in rows) == uec
    assert ("uec/replay_size" in rows[-1]) == uec
    # The reference policy is there where its KL is.
    held = algorithm.removesuffix("+uec") in {"grpo", "uec", "entropy_bonus"}
    assert any("kl/reference" in row for row in rows) == held


def test_what_a_step_did_to_entropy_is_told_where_it_was_asked_for(runs: Path) -> None:
    told = {
        name: any("update/entropy_change" in row for row in metrics(runs / name)) for name in ("uec", "grpo")
    }
    assert told == {"uec": True, "grpo": False}


def test_no_two_algorithms_end_with_the_same_weights(runs: Path) -> None:
    """From the same first rollout: none is another under a name of its own."""
    names = ALGORITHMS
    assert len({metrics(runs / name)[0]["reward/accuracy"] for name in names}) == 1
    exports = {(runs / name / "export" / "model.safetensors").read_bytes() for name in names}
    assert len(exports) == len(names)
