"""Settings that are valid and rarely meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlm_uec.config import load_config
from vlm_uec.config.cautions import cautions, cpu_cautions


@pytest.mark.parametrize(
    ("algorithm", "part"),
    [
        ("gspo+uec", "few replayed tokens have a gradient"),
        ("kl_cov+uec", "nothing bounds stale trajectories"),
        ("cispo+uec", "nothing bounds stale trajectories"),
    ],
)
def test_losses_without_ppo_s_clip_warn_with_replay(file: Path, algorithm: str, part: str) -> None:
    (line,) = cautions(load_config(file, [f"algorithm={algorithm}"]))
    assert part in line
    assert "stabilizer.enabled=false" in line


def test_strictness_without_the_verifier_warns(file: Path) -> None:
    overrides = ["reward.function=mathruler", "reward.statements=boxed_only"]
    (line,) = cautions(load_config(file, overrides))
    assert line.startswith(
        "reward.thinking and reward.statements have no effect on reward.function mathruler"
    )


@pytest.mark.parametrize(
    "overrides",
    [
        ["algorithm=uec"],
        ["algorithm=sapo+uec"],
        ["reward.thinking=accept", "reward.statements=boxed_only"],
        ["reward.function=mathruler"],
        ["algorithm=gspo"],
        ["algorithm=gspo+uec", "stabilizer.enabled=false"],
    ],
)
def test_other_settings_have_no_warning(file: Path, overrides: list[str]) -> None:
    assert cautions(load_config(file, overrides)) == []


@pytest.mark.parametrize(("precision", "warnings"), [("fp32", 0), ("bf16", 1)])
def test_bf16_on_a_cpu_warns(file: Path, precision: str, warnings: int) -> None:
    lines = cpu_cautions(load_config(file, [f"model.precision={precision}"]))
    assert len(lines) == warnings
    assert all("set model.precision=fp32" in line for line in lines)
