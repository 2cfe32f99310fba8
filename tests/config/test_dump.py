"""A dumped config loads equal."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.configs import MINIMAL
from vlm_uec.config import Config, dump_config, load_config

TEXT = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]) | st.just("\n")


@settings(max_examples=40, deadline=None)
@given(
    lr=st.floats(1e-9, 1.0),
    top_p=st.floats(1e-6, 1.0),
    dual_clip=st.none() | st.floats(1.2, 10.0, exclude_min=True),
    template=st.none() | st.text(TEXT, min_size=1, max_size=30),
    algorithm=st.sampled_from(["uec", "grpo"]),
)
def test_a_dumped_config_loads_equal(
    tmp_path_factory: pytest.TempPathFactory, lr: float, top_p: float, dual_clip: float | None,
    template: str | None, algorithm: str,
) -> None:  # fmt: skip
    tree = {
        **MINIMAL,
        "algorithm": algorithm,
        "optim": {"lr": lr},
        "rollout": {"top_p": top_p},
        "loss": {"dual_clip": dual_clip},
        "prompt": {"template": template},
        "exploration": {"enabled": algorithm == "grpo"},
    }
    config = Config.model_validate(tree)
    file = tmp_path_factory.getbasetemp() / "dumped.yaml"
    file.write_text(dump_config(config), encoding="utf-8")
    assert load_config(file) == config


@pytest.mark.parametrize(
    "text", ["1e5", "yes", "null", "~", "010", "0x10", "1:30", "2024-01-01", "<<", "=", "- a", "a: b", "é #"]
)
def test_text_that_looks_like_another_type_stays_text(tmp_path: Path, text: str) -> None:
    config = Config.model_validate({**MINIMAL, "data": {"mixture": {text: 1.0}, "validation_path": text}})
    file = tmp_path / "dumped.yaml"
    file.write_text(dump_config(config), encoding="utf-8")
    assert load_config(file) == config
    assert yaml.safe_load(dump_config(config))["data"]["validation_path"] == text


def test_small_numbers_stay_numbers(file: Path, tmp_path: Path) -> None:
    """YAML 1.1 reads 1e-06 as text, so a dump must not contain it."""
    dumped = dump_config(load_config(file))
    assert yaml.safe_load(dumped)["optim"]["lr"] == 1e-6
    again = tmp_path / "again.yaml"
    again.write_text(dumped)
    assert load_config(again) == load_config(file)
