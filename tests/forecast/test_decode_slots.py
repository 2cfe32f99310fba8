"""The number of responses that decode at a time, and the settings that make room for more."""

from __future__ import annotations

import math
import re

import pytest

from tests.support.launch import synthetic_data
from vlm_uec.config import Config, load_config
from vlm_uec.forecast.decode_slots import fitting_slots, slots_lines
from vlm_uec.forecast.shape import model_shape
from vlm_uec.forecast.tokens import PromptLengths, step_tokens

RECIPE = "configs/geometry3k_qwen2.5_vl_3b_grpo.yaml"
LENGTHS = PromptLengths(400, 400)
SHAPE = model_shape("Qwen/Qwen2.5-VL-3B-Instruct")
POSITION = 2 * 2 * 36 * 256  # bytes: keys and values, bf16, 36 layers, 2 heads of 128


def _config(*overrides: str) -> Config:
    return load_config(RECIPE, [f"data.path={synthetic_data()}", "train.run_dir=/tmp/none", *overrides])


def _lines(*overrides: str) -> list[str]:
    config = _config(*overrides)
    assert SHAPE is not None
    return slots_lines(config, {"stage": 3}, SHAPE, LENGTHS, step_tokens(config, LENGTHS, 1))


def test_slots_fill_their_share_of_the_free_bytes() -> None:
    """16 slots of 100 positions, and 16 prefix groups (at most one per slot) of 400 positions."""
    config = _config("rollout.n=4", "rollout.max_tokens=100")
    assert SHAPE is not None
    needed = 16 * (100 + 400) * POSITION / 0.7
    assert fitting_slots(config, SHAPE, LENGTHS, math.ceil(needed) + 1) == 16
    assert fitting_slots(config, SHAPE, LENGTHS, needed - POSITION) == 8
    assert fitting_slots(config, SHAPE, LENGTHS, needed / 4) == 0
    assert fitting_slots(config, SHAPE, LENGTHS, -1.0) == 0


def test_few_slots_name_the_settings_that_give_more() -> None:
    first, second = _lines("loss.kl_coef=0.01")
    own = int(re.findall(r"(\d+) responses", first)[0])
    more = {name: int(slots) for name, slots in re.findall(r"([\w.=]+): (\d+)", second)}
    assert own < min(more.values())
    assert set(more) == {"rollout.offload_states=true", "loss.kl_coef=0", "both", "lora.rank=64"}
    assert max(more.values()) >= 256
    assert more["both"] >= more["rollout.offload_states=true"] > more["loss.kl_coef=0"]


@pytest.mark.parametrize("setting", ["lora.rank=64", "rollout.max_tokens=64"])
def test_enough_slots_need_no_advice(setting: str) -> None:
    (line,) = _lines(setting, "rollout.offload_states=true", "loss.kl_coef=0")
    assert int(re.findall(r"(\d+) responses", line)[0]) >= 256


def test_a_model_that_does_not_fit_needs_other_settings() -> None:
    shape = model_shape("Qwen/Qwen2.5-VL-32B-Instruct")
    assert shape is not None
    config = _config("loss.kl_coef=0.01")
    lines = slots_lines(config, {"stage": 3}, shape, LENGTHS, step_tokens(config, LENGTHS, 1))
    assert lines == ["  On one GPU of 80 GB, no decode slots fit.", "  More slots need more GPUs."]
