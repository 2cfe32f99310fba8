from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest

from vlm_uec.config import Config
from vlm_uec.telemetry.display import Display
from vlm_uec.telemetry.phases import ADVICE, advice, shares_line, time_shares

TIMES = {"time/rollout": 3.0, "time/update": 6.0, "time/reward": 0.05, "time/other": 0.95, "time/step": 10.0}


def test_shares_are_sorted_without_those_below_one_percent() -> None:
    assert list(time_shares(TIMES).items()) == [
        ("update", pytest.approx(0.6)),
        ("rollout", pytest.approx(0.3)),
        ("other", pytest.approx(0.095)),
    ]


def test_the_line_of_shares() -> None:
    assert shares_line({**TIMES, "reward/accuracy": 1.0}) == "update 60%, rollout 30%, other 10%"


def test_every_step_is_printed_with_its_phases() -> None:
    stream = StringIO()
    Display(active=True, steps=7, stream=stream).step(3, {**TIMES, "reward/accuracy": 0.5})
    assert stream.getvalue() == "step 3/7  acc 0.500  10.0 s  (update 60%, rollout 30%, other 10%)\n"


def test_zero_time_has_no_shares() -> None:
    assert time_shares({"time/rollout": 0.0, "time/step": 0.0}) == {}


def test_the_advice_names_the_largest_phase_and_its_setting() -> None:
    line = advice(TIMES)
    assert line.startswith(
        "time: update 60%, rollout 30%, other 10% of 10 s. To shorten update, the largest: "
    )
    assert "optim.microbatch_tokens" in line


def test_every_timed_phase_has_advice() -> None:
    sources = [
        path.read_text(encoding="utf-8") for path in (Path(__file__).parents[2] / "vlm_uec").rglob("*.py")
    ]
    timed = {name for source in sources for name in re.findall(r"timer\.phase\(\"(\w+)\"\)", source)}
    moved = {
        target for source in sources for target in re.findall(r"timer\.move\(\"\w+\", \"(\w+)\"", source)
    }
    assert {"rollout", "update", "replay", "eval"} <= timed
    assert timed | moved | {"other"} == set(ADVICE)


@pytest.mark.parametrize("phase", ADVICE)
def test_advice_names_existing_config_keys(phase: str) -> None:
    for section, key in re.findall(r"\b(\w+)\.(\w+)\b", ADVICE[phase]):
        fields = Config.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
        assert key in fields
