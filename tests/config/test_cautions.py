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


@pytest.mark.parametrize(
    "overrides",
    [
        ["algorithm=uec"],
        ["algorithm=sapo+uec"],
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
