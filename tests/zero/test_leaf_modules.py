"""Layers as leaf modules: the same updates as with hooks on every module."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
from deepspeed.utils import z3_leaf_module

from tests.support.launch import launch, model_copy
from tests.support.leaf_updates import STEPS, VARIANTS
from tests.support.tiny import tiny_policy
from vlm_uec.zero.leaf_modules import mark_leaf_modules


@pytest.fixture(scope="module")
def updates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("leaf")
    shutil.copytree(model_copy(), directory / "model")
    launch("tests/support/leaf_updates.py", str(directory))
    results: dict[str, Any] = json.loads((directory / "leaf_updates.json").read_text(encoding="utf-8"))
    return results


@pytest.mark.end_to_end
@pytest.mark.parametrize("variant", VARIANTS)
def test_losses_and_norms_on_two_ranks_are_equal(updates: dict[str, Any], variant: str) -> None:
    leaf, plain = updates[variant]["leaf"], updates[variant]["plain"]
    # With adapters the norms differ by rounding; a layer's lost gradients would differ by far more.
    assert leaf == (pytest.approx(plain, rel=1e-6) if "adapters" in variant else plain)
    norms = leaf[2 : 3 * STEPS : 3]
    assert len(norms) == STEPS and min(norms) > 0


def test_text_layers_and_vision_blocks_are_leaves() -> None:
    policy = tiny_policy()
    mark_leaf_modules(policy)
    leaves = {name for name, module in policy.named_modules() if z3_leaf_module(module)}
    layers = {f"model.model.language_model.layers.{number}" for number in (0, 1)}
    assert leaves == layers | {f"model.model.visual.blocks.{number}" for number in (0, 1)}


def test_a_first_layer_without_a_gradient_of_its_input_is_no_leaf() -> None:
    policy = tiny_policy()
    policy.text.embed_tokens.requires_grad_(False)
    mark_leaf_modules(policy)
    assert [z3_leaf_module(layer) for layer in policy.text.layers] == [False, True]
    assert all(z3_leaf_module(block) for block in policy.tower.blocks)
