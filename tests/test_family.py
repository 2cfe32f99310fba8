"""Every algorithm of the family trains: one launch of two ZeRO-3 ranks runs them all."""

from __future__ import annotations

import math
from pathlib import Path
from typing import get_args

import pytest

from tests.launch import SHORT, launch, metrics, model_copy, synthetic_data
from vlm_uec.config import Algorithm, load_config

pytestmark = pytest.mark.end_to_end

STEPS = 2
each_algorithm = pytest.mark.parametrize("algorithm", get_args(Algorithm))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("family")
    paths = (f"model.path={model_copy()}", f"data.path={synthetic_data()}")
    # The pending queue must fill within a step; one checkpoint is enough of each.
    settings = (*SHORT, "rollout.n=6", "train.save_every=0", "train.measure_entropy=true")
    launch("tests/every_algorithm.py", str(directory), *settings, f"train.steps={STEPS}", *paths)
    return directory


@each_algorithm
def test_it_updates_and_every_number_is_finite(runs: Path, algorithm: str) -> None:
    rows = metrics(runs / algorithm)
    assert [row["step"] for row in rows] == [1, 2]
    for row in rows:
        assert all(isinstance(value, int | float) and math.isfinite(value) for value in row.values()), row
    assert sum(row.get("update/optimizer_steps", 0) for row in rows) > 0
    assert max(row.get("grad_norm", 0) for row in rows) > 0
    assert any("update/entropy_change" in row for row in rows)


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


def test_objectives_differ_in_what_they_make_of_the_same_first_rollout(runs: Path) -> None:
    """The first step's responses are the same; from the second mini-batch on ratios are not 1."""
    plain = [name for name in get_args(Algorithm) if name != "uec" and "+uec" not in name]
    first = {name: metrics(runs / name)[0] for name in plain}
    assert len({row["reward/accuracy"] for row in first.values()}) == 1
    losses = {name: row["loss/policy"] for name, row in first.items() if "loss/policy" in row}
    assert len(set(losses.values())) == len(losses) >= 6, losses
