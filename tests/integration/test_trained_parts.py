"""Training of some parts only: adapters, the projector, all but the projector. Two ZeRO-3 ranks each."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import Qwen2_5_VLForConditionalGeneration

from tests.support.launch import metrics, model_copy
from tests.support.variants import TRAINED_PARTS, variant_runs

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]


@pytest.fixture(scope="module")
def runs() -> Path:
    return variant_runs()


def _weights(directory: Path) -> dict[str, torch.Tensor]:
    return load_file(directory / "model.safetensors")


def _changed(runs: Path, name: str) -> set[str]:
    """Names of the weights that differ from the initial model."""
    before, after = _weights(model_copy()), _weights(runs / name / "export")
    assert before.keys() == after.keys()
    return {key for key, weight in before.items() if not torch.equal(weight, after[key])}


@pytest.mark.parametrize("name", TRAINED_PARTS)
def test_every_choice_of_parts_updates_and_replays_with_finite_metrics(runs: Path, name: str) -> None:
    rows = metrics(runs / name)
    for row in rows:
        assert all(isinstance(value, int | float) and math.isfinite(value) for value in row.values()), row
    assert sum(row.get("update/optimizer_steps", 0) for row in rows) > 0
    assert any("replay/optimizer_steps" in row for row in rows)


def test_the_starting_model_is_validated_before_the_first_step(runs: Path) -> None:
    first, *others = metrics(runs / "large")
    assert first["step"] == 0 and "reward/accuracy" not in first
    assert [row["step"] for row in [first, *others] if "eval/pass@1" in row] == [0, 2]


def test_merged_adapters_change_exactly_the_adapted_matrices(runs: Path) -> None:
    text = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    tower = ("attn.qkv", "attn.proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
    for key in _weights(model_copy()):
        ends = [f"{name}.weight" for name in (tower if "visual" in key else text)]
        adapted = key.endswith(tuple(ends)) and (".layers." in key or ".blocks." in key)
        assert (key in _changed(runs, "lora")) == adapted, key


def test_adapters_have_a_kl_to_the_initial_model(runs: Path) -> None:
    """Without a second model; tests/model/test_adapters.py tests that the reference is the initial model."""
    divergences = [row["kl/reference"] for row in metrics(runs / "lora") if "kl/reference" in row]
    assert divergences and min(divergences) > 0


@pytest.mark.parametrize("name", [name for name in TRAINED_PARTS if name != "lora_adapter"])
def test_the_export_is_a_complete_model(runs: Path, name: str) -> None:
    export = runs / name / "export"
    loaded: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(export, output_loading_info=True)
    assert not any(loaded[1][key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))


def test_an_export_of_adapters_loads_on_its_base(runs: Path) -> None:
    export = runs / "lora_adapter" / "export"
    config = json.loads((export / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == str(model_copy())
    loaded = Qwen2_5_VLForConditionalGeneration.from_pretrained(export)
    adapters = [weight for name, weight in loaded.named_parameters() if ".lora_B." in name]
    assert len(adapters) == 3 * 7
    assert all(weight.any() for weight in adapters), "an adapter was not trained: it starts at zero"


@pytest.mark.parametrize(("name", "part"), [("projector", "tower"), ("tower", "projector")])
def test_only_the_frozen_part_is_unchanged(runs: Path, name: str, part: str) -> None:
    changed = _changed(runs, name)
    for key in _weights(model_copy()):
        own_part = "text" if "visual." not in key else "projector" if ".merger." in key else "tower"
        assert (key in changed) == (own_part != part), key


def test_the_options_of_the_large_recipes_work_together(runs: Path) -> None:
    """bf16, offload, recomputation and a frozen tower: an update each step; all but the tower changes."""
    steps = [row for row in metrics(runs / "large") if row["step"]]
    assert len(steps) == 2 and all(math.isfinite(row["loss/policy"]) for row in steps)
    before, after = _weights(model_copy()), _weights(runs / "large" / "export")
    for name, weight in before.items():
        same = torch.equal(weight.bfloat16(), after[name].bfloat16())
        assert same == ("visual." in name) or weight.dim() == 1, name


def test_offloading_states_during_rollouts_changes_no_weight(runs: Path) -> None:
    resident, offloaded = (_weights(runs / name / "export") for name in ("all", "offloaded"))
    assert all(torch.equal(weight, offloaded[key]) for key, weight in resident.items())
