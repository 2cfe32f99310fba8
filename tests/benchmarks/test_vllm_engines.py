"""The comparison of both rollout engines: its gap with standard error, and its seeds."""

from __future__ import annotations

import pytest

from benchmarks.lib.speed.engine_comparison import ENGINES, EngineRun, accuracy_gap, parse_arguments


@pytest.mark.parametrize("seeds", [["1"], ["2", "2"]])
def test_one_seed_is_refused(seeds: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(None, ["--seeds", *seeds])
    assert caught.value.code == 2
    assert "--seeds needs two seeds or more" in capsys.readouterr().err


def test_two_seeds_are_enough() -> None:
    assert parse_arguments(None, ["train.steps=9", "--seeds", "4", "5"]).seeds == [4, 5]


def test_the_gap_has_its_standard_error() -> None:
    """Variances 0.02 and 0.08 of two runs each: sqrt(0.02 / 2 + 0.08 / 2)."""
    last = {"native": [0.4, 0.6], "vllm": [0.5, 0.9]}
    runs = [
        EngineRun(engine, seed, 9, 0.1, value, 1.0, 0.0, 0.0, 1.0)
        for engine in ENGINES
        for seed, value in enumerate(last[engine])
    ]
    assert accuracy_gap(runs) == pytest.approx((0.2, 0.05**0.5))
