"""Every algorithm trains; one launch of two ZeRO-3 ranks runs them all."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.support.launch import metrics
from tests.support.variants import ALGORITHMS, variant_runs
from vlm_uec.config import load_config

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


@pytest.fixture(scope="module")
def runs() -> Path:
    return variant_runs()


@each_algorithm
def test_every_algorithm_updates_with_finite_metrics(runs: Path, algorithm: str) -> None:
    rows = metrics(runs / algorithm)
    assert [row["step"] for row in rows] == [1, 2]
    for row in rows:
        assert all(isinstance(value, int | float) and math.isfinite(value) for value in row.values()), row
    assert sum(row.get("update/optimizer_steps", 0) for row in rows) > 0
    assert max(row.get("grad_norm", 0) for row in rows) > 0


@each_algorithm
def test_a_run_uses_the_configured_algorithm(runs: Path, algorithm: str) -> None:
    assert load_config(runs / algorithm / "config.yaml").algorithm == algorithm
    rows = metrics(runs / algorithm)
    uec = "uec" in algorithm
    assert any(row["uec/explored_responses"] for row in rows) == uec
    assert ("uec/replay_size" in rows[-1]) == uec
    # There is a reference policy only if there is a KL term.
    has_kl = algorithm.removesuffix("+uec") in {"grpo", "uec", "entropy_bonus"}
    assert any("kl/reference" in row for row in rows) == has_kl


def test_the_change_of_entropy_is_logged_only_if_requested(runs: Path) -> None:
    logged = {
        name: any("update/entropy_change" in row for row in metrics(runs / name)) for name in ("uec", "grpo")
    }
    assert logged == {"uec": True, "grpo": False}


def test_no_two_algorithms_end_with_the_same_weights(runs: Path) -> None:
    """From the same first rollout, so no two names are the same algorithm."""
    names = ALGORITHMS
    assert len({metrics(runs / name)[0]["reward/accuracy"] for name in names}) == 1
    exports = {(runs / name / "export" / "model.safetensors").read_bytes() for name in names}
    assert len(exports) == len(names)
